"""When a delivery is tried again: at fixed times after it was asked for, a little spread, a day long."""

from datetime import datetime, timedelta

AFTER = tuple(timedelta(seconds=each) for each in (0, 5, 300, 1800, 7200, 18_000, 36_000, 86_400))
LONGEST = AFTER[-1]
_SPREAD = 0.1  # of the time between two attempts
_SOONEST = timedelta(seconds=5)


def next_attempt(
    asked_at: datetime, tried: int, now: datetime, luck: float, retry_after: timedelta | None = None
) -> datetime | None:
    """None when it was tried for long enough. `luck` is from 0 to 1; a receiver's own wish may
    delay, never hasten, and makes no day longer.
    """
    if tried >= len(AFTER):
        return None
    gap = AFTER[tried] - AFTER[tried - 1] if tried else timedelta()
    planned = max(asked_at + AFTER[tried] + gap * _SPREAD * luck, now + (_SOONEST if tried else timedelta()))
    if retry_after is not None:
        planned = max(planned, min(now + retry_after, asked_at + LONGEST))
    return planned
