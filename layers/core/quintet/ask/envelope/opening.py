"""The verbs: open a sealed prompt once, and seal its answer."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.ask.envelope.model import (
    ALGORITHM,
    KEY_BYTES,
    MAX_PAYLOAD,
    NONCE_BYTES,
    TAG_BYTES,
    Content,
    Envelope,
    Place,
    Wrap,
    associated,
    associated_answer,
    context_of,
    mark_of,
    nonce_bytes,
    nonce_text,
    refused,
    strict_base64,
    wrapped_key,
)
from quintet.errors import Failure, Kind

REMEMBERED = timedelta(hours=24)


class Unopened(Exception):  # noqa: N818 - an outcome
    """The key store does not know the key, or the wrapped key is not one of its."""


class Keys(Protocol):
    """The keys that prompts may be sealed for, by their public names. What a caller names never reaches KMS."""

    async def unwrap(self, key_id: str, wrap: Wrap, wrapped: bytes, context: Mapping[str, str], /) -> bytes:
        """Raises Unopened, or Failure(UNAVAILABLE) when the store cannot be asked."""
        ...

    async def public_key(self, key_id: str, /) -> bytes | None:
        """In DER; None for a key that we do not have."""
        ...


class Replays(Protocol):
    async def first(self, mark: str, until: datetime, /) -> bool:
        """Whether this mark was not seen before."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """`content` is the plaintext: it is never logged, recorded or kept."""

    envelope: Envelope
    content: str = field(repr=False)
    _key: bytes = field(repr=False)

    def laid_over(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request's body with what was sealed in its place. Raises Failure."""
        rest = {name: value for name, value in body.items() if name != "encryption"}
        if self.envelope.content is Content.TEXT:
            shown = rest.get("prompt") or ""
            if not isinstance(shown, str):
                return rest  # refused like any other prompt that is no text
            return {**rest, "prompt": f"{shown}\n\n{self.content}" if shown else self.content}
        try:
            sealed = json.loads(self.content)
        except (ValueError, RecursionError):
            raise refused() from None
        if not isinstance(sealed, dict) or "encryption" in sealed:
            raise refused()
        return {**rest, **sealed}

    def seal(self, text: str, answer_id: str, part: str = "output") -> dict[str, str]:
        """Under the caller's own data key and a new nonce."""
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = associated_answer(self.envelope, answer_id, part)
        payload = encrypt(text.encode(errors="replace"), bound, nonce, self._key)
        return {
            "key_id": self.envelope.key_id,
            "nonce": nonce_text(nonce),
            "algorithm": ALGORITHM,
            "content_type": Content.TEXT.value,
            "payload": base64.b64encode(payload).decode(),
        }


@dataclass(frozen=True, slots=True)
class Opener:
    keys: Keys
    replays: Replays

    async def open(self, envelope: Envelope, body: Mapping[str, Any], place: Place, now: datetime) -> Opened:
        """Raises Failure: `decryption failed` for all that does not fit, CONFLICT for what came before.

        A nonce is remembered only once it has opened something: nobody can use up those of others.
        """
        payload = strict_base64(envelope.payload, MAX_PAYLOAD)
        bound = associated(envelope, body, place)
        wrapped = wrapped_key(envelope)
        if len(payload) < TAG_BYTES:
            raise refused()
        try:
            key = await self.keys.unwrap(envelope.key_id, envelope.wrap, wrapped, context_of(place.subject))
        except Unopened:
            raise refused() from None
        content = _decrypted(payload, bound, nonce_bytes(envelope.nonce), key)
        if not await self.replays.first(mark_of(envelope), now + REMEMBERED):
            raise Failure(Kind.CONFLICT, "This sealed request was sent before: seal it anew, under a new nonce")
        return Opened(envelope, content, key)


def _decrypted(payload: bytes, bound: bytes, nonce: bytes, key: bytes) -> str:
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
    from nacl.exceptions import CryptoError

    if len(key) != KEY_BYTES:
        raise refused()
    try:
        return decrypt(payload, bound, nonce, key).decode()
    except (CryptoError, UnicodeDecodeError):
        raise refused() from None
