"""The keys that prompts are sealed for, and the nonces of the last day, in memory."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from quintet.ask.envelope.model import Wrap
from quintet.ask.envelope.opening import Unopened


@dataclass
class FakeKeys:
    name: str
    _private: Any = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    _wrapped: dict[bytes, tuple[bytes, dict[str, str]]] = field(default_factory=dict)

    def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """As KMS's GenerateDataKey: the key, and the key wrapped under a context."""
        key, wrapped = secrets.token_bytes(32), secrets.token_bytes(64)
        self._wrapped[wrapped] = key, dict(context)
        return key, wrapped

    async def unwrap(self, key_id: str, wrap: Wrap, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        if key_id != self.name:
            raise Unopened
        if wrap is Wrap.RSA:
            try:
                return bytes(
                    self._private.decrypt(wrapped, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
                )
            except ValueError:
                raise Unopened from None
        key, its_context = self._wrapped.get(wrapped, (b"", {}))
        if not key or its_context != dict(context):
            raise Unopened
        return key

    async def public_key(self, key_id: str) -> bytes | None:
        if key_id != self.name:
            return None
        public = self._private.public_key()
        return bytes(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


@dataclass
class FakeReplays:
    seen: dict[str, datetime] = field(default_factory=dict)

    async def first(self, mark: str, until: datetime) -> bool:
        new = mark not in self.seen
        self.seen[mark] = until
        return new
