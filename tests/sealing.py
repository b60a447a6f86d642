"""A caller that seals prompts, in all the ways that there are; and opens what comes back, with another library."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

from quintet.ask.envelope.canonical import canonical

ALGORITHM = "XChaCha20-Poly1305"
NAME = "kms:projects/quintet/keys/telemetry"
Wrapping = Callable[[bytes], bytes]


def with_rsa(public: bytes) -> Wrapping:
    """`public` is in DER or PEM."""
    load = serialization.load_pem_public_key if public.startswith(b"-----") else serialization.load_der_public_key
    key: Any = load(public)
    return lambda data: bytes(key.encrypt(data, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)))


@dataclass
class Sealer:
    """`data_key` and `wrapped` stay what they are, so that a test can open what was sealed in answer."""

    subject: str
    wrap: str
    wrapped: bytes
    data_key: bytes
    key_id: str = NAME
    path: str = "/api/v1/ask"
    method: str = "POST"
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(24))

    def seal(self, text: str | bytes, body: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The whole body. `more` goes into the block; `content_type` is bound too."""
        body = dict(body or {})
        edk = base64.b64encode(self.wrapped).decode()
        bound = {
            "v": "v1",
            "alg": ALGORITHM,
            "kid": self.key_id,
            "wrap": self.wrap,
            "edk": edk,
            "cty": more.get("content_type", "text/plain"),
            "htm": self.method,
            "htu": self.path,
            "sub": self.subject,
            "body": hashlib.sha256(canonical(body)).hexdigest(),
        }
        plain = text.encode() if isinstance(text, str) else text
        block = {
            "key_id": self.key_id,
            "nonce": "v1-" + base64.urlsafe_b64encode(self.nonce).decode(),
            "algorithm": ALGORITHM,
            "key_wrap": self.wrap,
            "encrypted_key": edk,
            "payload": base64.b64encode(encrypt(plain, canonical(bound), self.nonce, self.data_key)).decode(),
            **more,
        }
        return {**body, "encryption": block}

    def open(self, block: Mapping[str, Any], answer_id: str, part: str = "output") -> str:
        from Crypto.Cipher import ChaCha20_Poly1305

        bound = {
            "v": "v1",
            "alg": ALGORITHM,
            "kid": self.key_id,
            "dir": "response",
            "req": "v1-" + base64.urlsafe_b64encode(self.nonce).decode(),
            "id": answer_id,
            "part": part,
        }
        nonce = base64.urlsafe_b64decode(block["nonce"].removeprefix("v1-"))
        cipher = ChaCha20_Poly1305.new(key=self.data_key, nonce=nonce)
        cipher.update(canonical(bound))
        payload = base64.b64decode(block["payload"])
        return cipher.decrypt_and_verify(payload[:-16], payload[-16:]).decode()
