"""What callers send as numbers, as the float32 that a policy takes; everything else is refused by name."""

import math
from collections.abc import Sequence
from struct import error as StructError  # noqa: N812 - a class
from struct import pack
from typing import Any

from quintet.errors import Failure, Kind

MOST_IN_BATCH = 1024
_NUMBERS = frozenset({int, float})  # a bool is an int to isinstance, and no number to anybody else


def vector(values: Any, length: int, *, field: str = "observation") -> bytes:
    """Raises Failure: 422 for what is no list of numbers, 400 for what no policy can take."""
    if not isinstance(values, list) or any(type(value) not in _NUMBERS for value in values):
        issue = "Must be a list of numbers"
        raise Failure(Kind.INVALID, f"{field}: {issue}", details={"field": field, "issue": issue})
    if len(values) != length:
        raise Failure(Kind.REJECTED, f"Expected observation of length {length}, got {len(values)}")
    try:
        packed = pack(f"<{length}f", *values)
    except (OverflowError, StructError):
        raise _not_finite(field) from None
    if not all(map(math.isfinite, values)):
        raise _not_finite(field)
    return packed


def vectors(rows: Sequence[Any], length: int) -> bytes:
    return b"".join([vector(row, length, field=f"observations.{place}") for place, row in enumerate(rows)])


def batch_size(rows: Sequence[Any]) -> int:
    if not 0 < len(rows) <= MOST_IN_BATCH:
        raise Failure(Kind.REJECTED, f"Expected 1 to {MOST_IN_BATCH} observations, got {len(rows)}")
    return len(rows)


def _not_finite(field: str) -> Failure:
    return Failure(Kind.REJECTED, f"{field}: every number must be finite and fit into 32 bits")
