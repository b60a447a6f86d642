"""A topic's log as it grows, from any entry on: nothing is left out and nothing comes twice, or it is said."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from quintet.events import store
from quintet.events.store import Reading
from quintet.http.work import offload
from quintet.settings import settings
from quintet.store import wire

PAUSE_SECONDS = 0.4
_PAGE = 100


class Growing(Protocol):
    async def last(self, topic: str, /) -> int:
        """The number of the last entry: the cheapest question there is, asked twice a second."""
        ...

    async def read(self, topic: str, after: int, limit: int, /) -> Reading: ...


class TableLog:
    async def last(self, topic: str) -> int:
        request = {
            "TableName": settings().table("events"),
            "Key": wire.to_item({"pk": f"head#{topic}", "sk": "head"}),
            "ProjectionExpression": "seq",
        }
        answer = await wire.call("GetItem", request)
        return int(wire.from_item(answer["Item"])["seq"]) if "Item" in answer else 0

    async def read(self, topic: str, after: int, limit: int) -> Reading:
        return await offload(store.read, topic, after, limit)


async def follow(
    log: Growing, topic: str, after: int, seconds: float, pause: float | None = None
) -> AsyncGenerator[Reading, None]:
    """What is there beyond `after`, then what comes, for so many seconds. Readings have entries, or have lost some."""
    now = asyncio.get_running_loop().time
    end = now() + seconds
    looked, pause = False, PAUSE_SECONDS if pause is None else pause
    while now() < end:
        if not looked or await log.last(topic) != after:
            reading = await log.read(topic, after, _PAGE)
            looked = True
            if reading.entries or reading.lost:
                yield reading
                after = reading.entries[-1].seq if reading.entries else reading.head
                continue
        await asyncio.sleep(min(pause, max(0.0, end - now())))
