"""What callers send as numbers, as the float32 that a policy takes; everything else is refused by name."""

import math
from collections.abc import Sequence
from itertools import chain
from struct import error as StructError  # noqa: N812 - a class
from struct import pack
from typing import Any

from quintet.errors import Failure, Kind, invalid

MOST_IN_BATCH = 1024
_NUMBERS = frozenset({int, float})  # a bool is an int to isinstance, and no number to anybody else


def vector(values: Any, length: int, *, field: str = "observation") -> bytes:
    """Raises Failure: 422 for what is no list of numbers, 400 for what no policy can take."""
    if not isinstance(values, list) or not _numbers(values):
        raise invalid(field, "Must be a list of numbers")
    if len(values) != length:
        raise Failure(Kind.REJECTED, f"Expected observation of length {length}, got {len(values)}")
    packed = _packed(values)
    if packed is None:
        raise Failure(Kind.REJECTED, f"{field}: every number must be finite and fit into 32 bits")
    return packed


def vectors(rows: Sequence[Any], length: int) -> bytes:
    """All at once where all are well; one by one where the one that is not has to be named."""
    if set(map(type, rows)) <= {list} and set(map(len, rows)) <= {length}:
        values = list(chain.from_iterable(rows))
        packed = _packed(values) if _numbers(values) else None
        if packed is not None:
            return packed
    return b"".join([vector(row, length, field=f"observations.{place}") for place, row in enumerate(rows)])


def _numbers(values: list[Any]) -> bool:
    return set(map(type, values)) <= _NUMBERS


def _packed(values: list[Any]) -> bytes | None:
    """None where one of them is not finite, or does not fit."""
    try:
        packed = pack(f"<{len(values)}f", *values)
    except (OverflowError, StructError):
        return None
    # What fits into 32 bits cannot overflow in the sum; infinity and NaN survive it.
    return packed if math.isfinite(sum(values)) else None


def batch_size(rows: Sequence[Any]) -> int:
    if not 0 < len(rows) <= MOST_IN_BATCH:
        raise Failure(Kind.REJECTED, f"Expected 1 to {MOST_IN_BATCH} observations, got {len(rows)}")
    return len(rows)
