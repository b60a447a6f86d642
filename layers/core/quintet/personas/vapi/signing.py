"""Whether an event is VAPI's: a shared secret in a header, or a signature over the body, as its owner configured."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

TOLERANCE_SECONDS = 300
_MILLISECONDS_FROM = 100_000_000_000  # a number of seconds as large lies in the year 5138
_ALGORITHMS = frozenset({"sha256", "sha512", "sha1"})


@dataclass(frozen=True, slots=True)
class Signing:
    """Header names are in lower case. `format` may hold {timestamp}, {id} and {body}."""

    secret: bytes = field(default=b"", repr=False)
    algorithm: str = "sha256"
    encoding: str = "hex"
    header: str = "x-signature"
    timestamp_header: str = "x-timestamp"
    id_header: str = ""
    format: str = "{timestamp}.{body}"
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """What we accept. Nothing configured accepts nothing."""

    secret: str = field(default="", repr=False)
    signing: Signing = field(default_factory=Signing)

    @property
    def configured(self) -> bool:
        return bool(self.secret or self.signing.secret)

    def accepts(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        return self._knows_secret(headers) or _signed(self.signing, headers, body, now)

    def _knows_secret(self, headers: Mapping[str, str]) -> bool:
        if not self.secret:
            return False
        scheme, _, token = headers.get("authorization", "").partition(" ")
        shown = [headers.get("x-vapi-secret", ""), token if scheme.lower() == "bearer" else ""]
        return any(hmac.compare_digest(each.strip().encode(), self.secret.encode()) for each in shown)


def key_of(secret: str, *, is_base64: bool) -> bytes:
    """Raises ValueError."""
    return b64decode(secret, validate=True) if is_base64 else secret.encode()


def signature_of(signing: Signing, timestamp: str, message_id: str, body: bytes) -> str:
    """What VAPI sends in the header. The body is put in as the bytes that it is."""
    if signing.algorithm not in _ALGORITHMS:
        raise ValueError("the algorithm of VAPI's signatures must be sha256, sha512 or sha1")
    told = signing.format.replace("{timestamp}", timestamp).replace("{id}", message_id)
    before, found, after = told.partition("{body}")
    signed = before.encode() + (body if found else b"") + after.encode()
    digest = hmac.digest(signing.secret, signed, signing.algorithm)
    return signing.prefix + (b64encode(digest).decode() if signing.encoding == "base64" else digest.hex())


def _signed(signing: Signing, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    shown = headers.get(signing.header, "")
    if not signing.secret or not shown:
        return False
    timestamp = headers.get(signing.timestamp_header, "") if signing.timestamp_header else ""
    if ("{timestamp}" in signing.format or timestamp) and not _recent(timestamp, now):
        return False
    message_id = headers.get(signing.id_header, "") if signing.id_header else ""
    expected = signature_of(signing, timestamp, message_id, body)
    return hmac.compare_digest(shown.strip().encode(), expected.encode())


def _recent(timestamp: str, now: datetime) -> bool:
    """In seconds or milliseconds: VAPI does not say which."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 16):
        return False
    told = int(timestamp)
    seconds = told / 1000 if told >= _MILLISECONDS_FROM else told
    return abs(now.timestamp() - seconds) <= TOLERANCE_SECONDS
