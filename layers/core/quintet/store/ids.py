"""Ids made by the domain: a readable prefix, then 48 bits of milliseconds and 80 random ones, sortable as text."""

import hashlib
import os
import re
from datetime import datetime

from quintet.store.clock import from_millis, millis

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_LENGTH = 26
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # every value of ten bits
_OF_BYTES = 8 * _ALPHABET.encode()
_WHOLE, _MOMENT = range((_LENGTH - 2) * 5, -1, -10), range(40, -1, -10)
_BODY = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")
_AS_PYTHON_READS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")


def new_id(prefix: str, now: datetime) -> str:
    moment = _spelled(millis(now), _MOMENT)
    # Every letter stands for eight values of a byte: all are equally likely.
    return f"{prefix}_{moment}{os.urandom(_LENGTH - len(moment)).translate(_OF_BYTES).decode()}"


def id_of(prefix: str, at: datetime, what: str) -> str:
    """The one id that `what` has: whoever makes it again makes the same."""
    digest = hashlib.sha256(what.encode()).digest()[:10]
    return f"{prefix}_{_spelled((millis(at) << 80) | int.from_bytes(digest, 'big'), _WHOLE)}"


def _spelled(number: int, shifts: range) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in shifts])


def made_at(identifier: str) -> datetime:
    """When `new_id` made this id, to the millisecond. Raises ValueError for an id that it did not make."""
    body = identifier.rpartition("_")[2]
    if not _BODY.fullmatch(body):
        raise ValueError(f"not an id of ours: {identifier!r}")
    return from_millis(int(body[:10].translate(_AS_PYTHON_READS), 32))
