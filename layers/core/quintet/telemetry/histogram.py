"""Durations in fixed classes: counts of two times or places add up, so that percentiles can be merged."""

from bisect import bisect_left
from collections.abc import Mapping

# Classes per decade, at most a sixth apart. The numbers that people ask for (1, 2.5, 5, 7.5) are limits of classes.
_STEPS = (
    100,
    110,
    125,
    140,
    160,
    180,
    200,
    225,
    250,
    275,
    300,
    350,
    400,
    450,
    500,
    550,
    600,
    650,
    700,
    750,
    800,
    850,
    900,
)
_DECADES = 7  # from 0.1 ms to 1,000 s

LIMITS: tuple[int, ...] = tuple(step * 10**decade for decade in range(_DECADES) for step in _STEPS)
"""The upper limits of the classes in microseconds, each its class's own; one more class holds all that is longer."""


def class_of(micros: int) -> int:
    return bisect_left(LIMITS, micros)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Microseconds that `share` of all durations do not exceed, taken even within a class. None without any.

    What lies beyond the last limit counts as the last limit.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank = share * total
    below = 0
    for index in sorted(counts):
        count = counts[index]
        if below + count >= rank and count:
            lower = LIMITS[index - 1] if index else 0
            upper = LIMITS[min(index, len(LIMITS) - 1)]
            return min(lower, upper) + (upper - min(lower, upper)) * max(0.0, rank - below) / count
        below += count
    return float(LIMITS[-1])


def at_most(counts: Mapping[int, int], micros: int) -> int:
    """How many durations do not exceed a limit; exact when it is one of `LIMITS`."""
    last = class_of(micros)
    return sum(count for index, count in counts.items() if index <= last)
