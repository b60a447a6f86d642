"""The nouns of a sealed prompt, pure: the block as it comes, and what it is bound to."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from quintet.ask.envelope.canonical import canonical
from quintet.errors import Failure, Kind, invalid

VERSION = "v1"
ALGORITHM = "XChaCha20-Poly1305"
PURPOSE = "toron-request-v1"
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 24, 16
MAX_PAYLOAD = 256 << 10  # bytes of ciphertext
_MAX_WRAPPED = 6144  # KMS takes no more
_NONCE = re.compile(r"v1-[A-Za-z0-9_-]{32}")
_NONCE_ISSUE = (
    "must be 'v1-' and the base64url of 24 random bytes (32 letters): "
    "a short label comes twice sooner or later, and a nonce that comes twice under one key gives both prompts away"
)


class Wrap(StrEnum):
    KMS = "KMS"
    RSA = "RSA-OAEP-256"


class Content(StrEnum):
    TEXT = "text/plain"  # belongs to the prompt
    JSON = "application/json"  # an object, laid over the body


@dataclass(frozen=True, slots=True)
class Place:
    """Where the request came in, and for whom: `subject` is the API key's id."""

    method: str
    path: str
    subject: str


@dataclass(frozen=True, slots=True)
class Envelope:
    key_id: str
    nonce: str
    wrap: Wrap
    encrypted_key: str
    content: Content
    payload: str
    respond: bool


def refused() -> Failure:
    """The one answer to all that does not open: whoever tries learns nothing of how far it got."""
    return Failure(Kind.REJECTED, "decryption failed")


def read(block: Any) -> Envelope:
    """Raises Failure that names the field: none of these says anything of keys or contents."""
    if not isinstance(block, Mapping):
        raise invalid("encryption", "must be an object")
    for name in ("key_id", "nonce", "algorithm", "key_wrap", "encrypted_key", "payload"):
        if name in block and not isinstance(block[name], str):
            raise invalid(f"encryption.{name}", "must be a string")
    if not _NONCE.fullmatch(block.get("nonce", "")):
        raise invalid("encryption.nonce", _NONCE_ISSUE)
    if block.get("algorithm") != ALGORITHM:
        raise invalid("encryption.algorithm", f"must be {ALGORITHM}")
    respond = block.get("respond", False)
    if not isinstance(respond, bool):
        raise invalid("encryption.respond", "must be true or false")
    for name in ("key_id", "encrypted_key", "payload"):
        if not block.get(name):
            raise invalid(f"encryption.{name}", "is required")
    return Envelope(
        key_id=block["key_id"],
        nonce=block["nonce"],
        wrap=Wrap(_one_of(block, "key_wrap", Wrap, None)),
        encrypted_key=block["encrypted_key"],
        content=Content(_one_of(block, "content_type", Content, Content.TEXT)),
        payload=block["payload"],
        respond=respond,
    )


def associated(envelope: Envelope, body: Mapping[str, Any], place: Place) -> bytes:
    """What the seal is bound to: exchange any of it, and it does not open. Raises Failure."""
    try:
        rest = canonical({name: value for name, value in body.items() if name != "encryption"})
        return canonical(
            {
                "v": VERSION,
                "alg": ALGORITHM,
                "kid": envelope.key_id,
                "wrap": envelope.wrap.value,
                "edk": envelope.encrypted_key,
                "cty": envelope.content.value,
                "htm": place.method,
                "htu": place.path,
                "sub": place.subject,
                "body": hashlib.sha256(rest).hexdigest(),
            }
        )
    except ValueError:
        raise refused() from None


def associated_answer(envelope: Envelope, answer_id: str, place: str) -> bytes:
    """What a sealed answer is bound to: the request it answers, and which part of the answer it is."""
    return canonical(
        {
            "v": VERSION,
            "alg": ALGORITHM,
            "kid": envelope.key_id,
            "dir": "response",
            "req": envelope.nonce,
            "id": answer_id,
            "part": place,
        }
    )


def context_of(subject: str) -> dict[str, str]:
    """KMS's encryption context: who may use a wrapped key, and for what."""
    return {"purpose": PURPOSE, "principal": subject}


def mark_of(envelope: Envelope) -> str:
    """Under which a nonce is remembered."""
    return hashlib.sha256(f"{envelope.key_id}|{envelope.nonce}".encode()).hexdigest()


def nonce_bytes(nonce: str) -> bytes:
    return base64.urlsafe_b64decode(nonce.removeprefix("v1-"))


def nonce_text(nonce: bytes) -> str:
    return "v1-" + base64.urlsafe_b64encode(nonce).decode()


def wrapped_key(envelope: Envelope) -> bytes:
    return strict_base64(envelope.encrypted_key, _MAX_WRAPPED)


def strict_base64(text: str, most: int) -> bytes:
    """The standard alphabet with its padding, one spelling for each content. Raises Failure."""
    if len(text) > (most + 2) // 3 * 4:
        raise refused()
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refused() from None
    if base64.b64encode(content).decode() != text:
        raise refused()
    return content


def _one_of(block: Mapping[str, Any], name: str, words: type[StrEnum], default: StrEnum | None) -> str:
    given = block.get(name, default)
    if given not in [*words]:
        raise invalid(f"encryption.{name}", f"must be one of: {', '.join(words)}")
    return str(given)
