"""Ids made by the domain: a readable prefix, then 48 bits of milliseconds and 80 random ones, sortable as text."""

import hashlib
import re
import secrets
from datetime import datetime

from quintet.store.clock import from_millis, millis

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_LENGTH = 26
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # every value of ten bits
_SHIFTS = range((_LENGTH - 2) * 5, -1, -10)
_BODY = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")
_AS_PYTHON_READS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")


def new_id(prefix: str, now: datetime) -> str:
    return _spelled(prefix, (millis(now) << 80) | secrets.randbits(80))


def id_of(prefix: str, at: datetime, what: str) -> str:
    """The one id that `what` has: whoever makes it again makes the same."""
    digest = hashlib.sha256(what.encode()).digest()[:10]
    return _spelled(prefix, (millis(at) << 80) | int.from_bytes(digest, "big"))


def _spelled(prefix: str, number: int) -> str:
    return f"{prefix}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"


def made_at(identifier: str) -> datetime:
    """When `new_id` made this id, to the millisecond. Raises ValueError for an id that it did not make."""
    body = identifier.rpartition("_")[2]
    if not _BODY.fullmatch(body):
        raise ValueError(f"not an id of ours: {identifier!r}")
    return from_millis(int(body[:10].translate(_AS_PYTHON_READS), 32))
