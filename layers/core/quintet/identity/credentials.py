"""What a caller shows: where it stands in a request, and how an API key is written."""

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from quintet.errors import Failure, Kind

_KEY_HEADERS = ("x-api-key", "x-ryuzen-key", "xi-api-key")  # the last one is what ElevenLabs' packages send
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 43  # 256 bits
_CHECK_LENGTH = 6  # 32 bits
_KEY = re.compile(rf"(qk_[a-z0-9]{{1,16}}_[0-9A-Za-z]{{{_RANDOM_LENGTH}}})([0-9A-Za-z]{{{_CHECK_LENGTH}}})")
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
_LONGEST = 8192
HINT_LENGTH = 4
TOKEN_EXPIRED = "Token has expired"  # noqa: S105 - what is said of one
_BAD_BEARER = "Invalid authentication token"
_BAD_KEY = "Invalid API key"


class Shape(Enum):
    KEY = auto()
    TOKEN = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Credential:
    text: str = field(repr=False)
    bearer: bool

    @property
    def shape(self) -> Shape:
        if is_key(self.text):
            return Shape.KEY
        return Shape.TOKEN if _TOKEN.fullmatch(self.text) else Shape.OTHER

    @property
    def digest(self) -> str:
        return digest(self.text)

    def refusal(self) -> Failure:
        """Says no more than that it does not count, in the words of where it stood."""
        return refused(_BAD_BEARER if self.bearer else _BAD_KEY)


def presented(headers: Mapping[str, str]) -> list[Credential]:
    """From `Authorization: Bearer`, then from the headers for keys. Header names are in lower case.

    There may be several: clients that insist on a bearer send a made-up one beside the key that counts.
    """
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    shown = [(bearer, True)] if scheme.lower() == "bearer" else []
    shown += [(headers.get(name, ""), False) for name in _KEY_HEADERS]
    return [Credential(text.strip()[:_LONGEST], is_bearer) for text, is_bearer in shown if text.strip()]


def refused(message: str, **details: str) -> Failure:
    return Failure(Kind.UNAUTHENTICATED, message, details=details, headers={"www-authenticate": "Bearer"})


def key_text(stage: str, entropy: bytes) -> str:
    """`qk_<stage>_<secret><check>`: a key of another stage, or one that lost a letter, is told apart without a look-up.

    The check says nothing of the secret that its letters do not say.
    """
    body = f"qk_{stage}_{_letters(int.from_bytes(entropy), _RANDOM_LENGTH)}"
    return body + _check(body)


def is_key(text: str) -> bool:
    match = _KEY.fullmatch(text)
    return match is not None and _check(match[1]) == match[2]


def digest(secret: str) -> str:
    """A secret of 256 random bits needs no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(body: str) -> str:
    return _letters(zlib.crc32(body.encode()), _CHECK_LENGTH)


def _letters(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(reversed(letters))
