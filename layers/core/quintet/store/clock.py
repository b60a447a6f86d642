"""Time as a value that is passed in, so that rules stay pure and tests own it."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as everywhere
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, in UTC, in whole milliseconds: what is stored comes back equal."""
        ...


class SystemClock:
    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def iso(moment: datetime) -> str:
    """`2026-11-20T10:30:00.123Z`, milliseconds only where there are any: the form of every timestamp we answer with."""
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond >= 1000 else "seconds") + "Z"


def iso_of(number: int) -> str:
    """The same of milliseconds: lists tell many moments."""
    moment = _PLAIN_EPOCH + number * _MILLISECOND
    told = moment.isoformat()
    return f"{told[: -len('000')]}Z" if moment.microsecond else f"{told}Z"


def epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def millis(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def sortable(number: int) -> str:
    """Milliseconds as text that sorts like them, up to the year 9999. What was before 1970 is all one."""
    return f"{max(0, number):015d}"


def from_millis(number: int) -> datetime:
    return _EPOCH + number * _MILLISECOND
