"""The nouns of what is counted: a series, a point of it in time, and what is added to points."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from urllib.parse import parse_qsl, urlencode

Amounts = Mapping[str, int]
"""What is added, by attribute: whole numbers all (microseconds, nano-USD, tokens), so that sums are exact.

A duration `x` is its sum under `x` and one count under `x.<class>` of its histogram.
"""


class Step(Enum):
    """How much time a point covers; its value is the form of a point's name, which sorts by time."""

    MINUTE = "%Y-%m-%dT%H:%M"
    HOUR = "%Y-%m-%dT%H"
    DAY = "%Y-%m-%d"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]

    def place(self, moment: datetime) -> str:
        return moment.astimezone(UTC).strftime(self.value)

    def start(self, place: str) -> datetime:
        return datetime.strptime(place, self.value).replace(tzinfo=UTC)


_LENGTHS = {Step.MINUTE: timedelta(minutes=1), Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1)}


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """All that is counted under one set of labels. Labels are few and bounded: no caller's name, no request's id."""

    family: str
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, family: str, **labels: str) -> "Series":
        return cls(family, tuple(sorted(labels.items())))

    @property
    def name(self) -> str:
        """The labels as one text."""
        return urlencode(self.labels)

    @classmethod
    def named(cls, family: str, name: str) -> "Series":
        return cls(family, tuple(parse_qsl(name, keep_blank_values=True)))

    def __getitem__(self, label: str) -> str:
        return dict(self.labels)[label]


@dataclass(frozen=True, slots=True)
class Measure:
    """What one record adds to one series."""

    series: Series
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Point:
    """What a series came to within one step, or since ever."""

    at: datetime
    amounts: Amounts = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.amounts.get(name, 0)


def added(*amounts: Amounts) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in amounts:
        for name, number in each.items():
            total[name] = total.get(name, 0) + number
    return total


def summed(points: Iterable[Point]) -> dict[str, int]:
    return added(*(point.amounts for point in points))


def classes(amounts: Amounts, duration: str) -> dict[int, int]:
    """The histogram of one duration."""
    prefix = f"{duration}."
    return {int(name[len(prefix) :]): count for name, count in amounts.items() if name.startswith(prefix)}
