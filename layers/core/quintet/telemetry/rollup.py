"""From the request log's stream to the series, exactly once, however often and in whatever pieces the log is told.

A stream tells a batch again when it failed halfway, when it was cut in two to find the record that spoils it, or when
the answer that it had worked got lost; the pieces then have other borders than before. So no batch is remembered, but
every record, and cheaply:

- The records of one minute and one shard of the log have a row of *receipts*. A receipt lists the records (12 bytes
  each) that one transaction has counted, and that very transaction writes it: counted and noted are one.
- Receipts are numbered. A transaction writes the receipt after the last one it has read, on the condition that nobody
  else has: of two that count the same records at the same time one is refused, reads again, and finds them counted.
- All that a batch adds to a point of a series is one addition: the price is by batch and series, not by record.

Shared points would let transactions cancel each other, were many instances to write at once: a point has up to
`LANES` parts. An instance stays on its lane until a transaction there has met another; readers add the parts up.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from quintet.store.ids import made_at
from quintet.telemetry.requests import bucket_of
from quintet.telemetry.rules import STEPS, Record, measures_of
from quintet.telemetry.series import Measure, Series, Step, added

REMEMBERED = timedelta(hours=48)  # receipts are kept for so long: what is older is no longer counted
_MOST_ITEMS = 90  # a transaction takes 100
_MOST_MEASURES = 15  # of a portion: four items each
_MARGIN = timedelta(hours=1)
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where receipts of the same row lie: one minute of one shard of the log."""

    minute: datetime
    shard: str


@dataclass(frozen=True, slots=True)
class Receipts:
    """What was counted at a place so far: the number of the last receipt, and the marks of all records."""

    last: int = 0
    marks: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Receipt:
    place: Place
    number: int
    marks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A point that something is added to. Without a step it is what the series came to since ever, up to `place`."""

    series: Series
    step: Step | None
    place: str


Additions = Mapping[Target, Mapping[str, int]]


class Books(Protocol):
    async def receipts(self, place: Place, /) -> Receipts: ...

    async def enter(self, receipts: Sequence[Receipt], additions: Additions, now: datetime, /) -> bool:
        """All or nothing. False when a receipt of that number is there already."""
        ...


@dataclass(frozen=True, slots=True)
class Portion:
    """What is counted as a whole: a record, or a piece of one that would not fit into a transaction."""

    mark: bytes
    shard: str
    measures: tuple[Measure, ...]


async def roll_up(records: Iterable[Record], books: Books, now: datetime) -> int:
    """Answers how many portions were counted by this call. Raises what `portions_of` raises."""
    minutes: dict[datetime, dict[bytes, Portion]] = defaultdict(dict)
    for record in records:
        minute = made_at(record["record_id"]).replace(second=0, microsecond=0)
        portions = portions_of(record)
        if minute > now - REMEMBERED + _MARGIN:
            minutes[minute].update((portion.mark, portion) for portion in portions)
    counted = 0
    for minute, found in sorted(minutes.items()):
        counted += await _count(minute, list(found.values()), books, now)
    return counted


def portions_of(record: Record) -> list[Portion]:
    """Raises KeyError, TypeError, ValueError or AttributeError for a record that makes no sense."""
    name = record["record_id"]
    shard = bucket_of(name).rpartition("#")[2]
    measures = measures_of(record)
    starts = range(0, len(measures), _MOST_MEASURES)
    return [
        Portion(mark(f"{name}#{start}"), shard, tuple(measures[start : start + _MOST_MEASURES])) for start in starts
    ]


async def _count(minute: datetime, portions: Sequence[Portion], books: Books, now: datetime) -> int:
    for _ in range(_ATTEMPTS):
        shards = defaultdict(list)
        for portion in portions:
            shards[portion.shard].append(portion)
        known = await asyncio.gather(*(books.receipts(Place(minute, shard)) for shard in shards))
        fresh: list[Portion] = []
        receipts = []
        for (shard, of_shard), before in zip(shards.items(), known, strict=True):
            new = [portion for portion in of_shard if portion.mark not in before.marks]
            if new:
                fresh += new
                receipts.append(Receipt(Place(minute, shard), before.last + 1, tuple(each.mark for each in new)))
        if not fresh:
            return 0
        additions = additions_of(minute, fresh)
        if len(additions) + len(receipts) > _MOST_ITEMS and len(fresh) > 1:
            middle = len(fresh) // 2
            first = await _count(minute, fresh[:middle], books, now)
            return first + await _count(minute, fresh[middle:], books, now)
        if await books.enter(receipts, additions, now):
            return len(fresh)
    raise TimeoutError("too many others count the same records")


def additions_of(minute: datetime, portions: Iterable[Portion]) -> Additions:
    by_series: dict[Series, list[Mapping[str, int]]] = defaultdict(list)
    for portion in portions:
        for measure in portion.measures:
            by_series[measure.series].append(measure.amounts)
    additions: dict[Target, Mapping[str, int]] = {}
    for series, amounts in by_series.items():
        total = added(*amounts)
        additions[Target(series, None, Step.MINUTE.place(minute))] = total
        for step in STEPS[series.family]:
            additions[Target(series, step, step.place(minute))] = total
    return additions


def mark(record_id: str) -> bytes:
    return hashlib.blake2b(record_id.encode(), digest_size=12).digest()
