"""Lists that lie by hour and shard, read newest first: the request log, the reward log.

Shards of an hour are merged as they are read. Which hours have anything is known from the series, so that a quiet
month costs nothing; the last two hours are looked at in any case, for the series are a second behind.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.ids import made_at
from quintet.store.pages import Page, Paging
from quintet.store.shapes import Row, Shape
from quintet.telemetry.requests import SHARDS, bucket
from quintet.telemetry.series import Series, Step
from quintet.telemetry.store.books import points

Item = Row
Wanted = Callable[[Mapping[str, Any]], bool]

_HOUR = timedelta(hours=1)
_LONGEST = timedelta(days=400)
_MOST_READ = 20_000  # of what does not match; the cursor then leads on from there


@dataclass(frozen=True, slots=True)
class Log:
    """`key` is the range key, an id that begins with one of ours; `family` counts its items by the hour."""

    table: str
    key: str
    family: str
    shape: Shape

    async def page(self, paging: Paging, now: datetime, wanted: Wanted | None = None) -> Page[Item]:
        """A page may be short, and yet not the last, where little matches. Raises ValueError for a bad cursor."""
        found: list[Item] = []
        skipped = read = 0
        async for item in self.newest(now, paging.after):
            read += 1
            if wanted is None or wanted(item):
                if skipped < paging.offset:
                    skipped += 1
                elif len(found) == paging.limit:
                    return Page(found, found[-1][self.key])
                else:
                    found.append(item)
            if read >= _MOST_READ:
                return Page(found, item[self.key])
        return Page(found, None)

    async def newest(self, now: datetime, before: str | None = None) -> AsyncIterator[Item]:
        """Everything that is older than `before`, or everything."""
        last = min(now, made_at(before.partition("#")[0])) if before else now
        async for hour in self._hours(now, last):
            shards = [_Shard(self, bucket(hour, shard), before) for shard in range(SHARDS)]
            await asyncio.gather(*(shard.fill() for shard in shards))
            while open_shards := [shard for shard in shards if shard.items]:
                newest = max(open_shards, key=lambda shard: shard.items[0][self.key])
                yield newest.items.pop(0)
                if not newest.items:
                    await newest.fill()

    async def _hours(self, now: datetime, last: datetime) -> AsyncIterator[datetime]:
        this = Step.HOUR.start(Step.HOUR.place(now))
        for recent in (this, this - _HOUR):
            if recent <= last:
                yield recent
        until = min(last, this - 2 * _HOUR)
        known = await points(Series.of(self.family), Step.HOUR, now - _LONGEST, until)
        for point in reversed(known):
            yield point.at


@dataclass(slots=True)
class _Shard:
    """One partition, from its end on."""

    log: Log
    name: str
    before: str | None
    items: list[Item] = field(default_factory=list)
    after: Any = None
    ended: bool = False

    async def fill(self) -> None:
        if self.ended:
            return
        condition, values = "#bucket = :bucket", {":bucket": {"S": self.name}}
        if self.before:
            condition += f" AND {self.log.key} < :before"
            values[":before"] = {"S": self.before}
        request: dict[str, Any] = {
            "TableName": settings().table(self.log.table),
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {"#bucket": "bucket"},
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            "Limit": 25,
        }
        if self.after:
            request["ExclusiveStartKey"] = self.after
        page = await wire.call("Query", request)
        self.items = [self.log.shape.row(item) for item in page["Items"]]
        self.after = page.get("LastEvaluatedKey")
        self.ended = self.after is None
