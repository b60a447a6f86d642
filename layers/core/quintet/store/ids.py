"""Ids made by the domain: a readable prefix, then 48 bits of milliseconds and 80 random ones, sortable as text."""

import hashlib
import secrets
from datetime import datetime

from quintet.store.clock import from_millis, millis

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_LENGTH = 26
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}


def new_id(prefix: str, now: datetime) -> str:
    return _spelled(prefix, (millis(now) << 80) | secrets.randbits(80))


def id_of(prefix: str, at: datetime, what: str) -> str:
    """The one id that `what` has: whoever makes it again makes the same."""
    digest = hashlib.sha256(what.encode()).digest()[:10]
    return _spelled(prefix, (millis(at) << 80) | int.from_bytes(digest, "big"))


def _spelled(prefix: str, number: int) -> str:
    letters = [_ALPHABET[(number >> shift) & 31] for shift in range((_LENGTH - 1) * 5, -1, -5)]
    return f"{prefix}_{''.join(letters)}"


def made_at(identifier: str) -> datetime:
    """When `new_id` made this id, to the millisecond. Raises ValueError for an id that it did not make."""
    body = identifier.rpartition("_")[2]
    if len(body) != _LENGTH or any(letter not in _VALUES for letter in body):
        raise ValueError(f"not an id of ours: {identifier!r}")
    number = 0
    for letter in body[:10]:
        number = number << 5 | _VALUES[letter]
    return from_millis(number)
