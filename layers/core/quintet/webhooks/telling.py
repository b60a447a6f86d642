"""From an entry of the event log to a delivery for every endpoint that wants it and may know of it."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

from quintet.events.model import Entry
from quintet.webhooks.delivering import MayRead
from quintet.webhooks.model import Delivery, Endpoint, Status, delivery_of
from quintet.webhooks.queue import Errand

_TOGETHER = 32


class Endpoints(Protocol):
    async def everyone(self) -> list[Endpoint]: ...


class Deliveries(Protocol):
    async def add(self, delivery: Delivery, /) -> bool: ...

    async def find(self, endpoint_id: str, delivery_id: str, /) -> Delivery | None: ...


class Queue(Protocol):
    async def send(self, errands: Sequence[Errand], now: datetime, /) -> None: ...


class Telling:
    def __init__(self, endpoints: Endpoints, deliveries: Deliveries, queue: Queue, may_read: MayRead) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._queue = queue
        self._may_read = may_read

    async def tell(self, entries: Iterable[Entry], now: datetime) -> int:
        """Told again, an event makes no second delivery; one that nobody has tried yet goes into the queue again.

        Answers how many deliveries are under way.
        """
        entries = list(entries)
        active = [each for each in await self._endpoints.everyone() if each.status is Status.ACTIVE] if entries else []
        made = await _together(
            self._made(entry, endpoint, now)
            for entry in entries
            for endpoint in active
            if endpoint.wants(entry.event.type) and entry.event.at >= endpoint.created_at
        )
        errands = [Errand(delivery.endpoint_id, delivery.id) for delivery in made if delivery is not None]
        if errands:
            await self._queue.send(errands, now)
        return len(errands)

    async def _made(self, entry: Entry, endpoint: Endpoint, now: datetime) -> Delivery | None:
        if not await self._may_read(endpoint, entry.event.needs):
            return None
        delivery = delivery_of(entry, endpoint, now)
        if await self._deliveries.add(delivery):
            return delivery
        known = await self._deliveries.find(endpoint.id, delivery.id)
        return known if known is not None and not known.tried and not known.attempts else None


async def _together(tasks: Iterable[Coroutine[Any, Any, Delivery | None]]) -> list[Delivery | None]:
    """Answers in the order given; no more at once than there are connections to keep."""
    places = asyncio.Semaphore(_TOGETHER)

    async def one(task: Coroutine[Any, Any, Delivery | None]) -> Delivery | None:
        async with places:
            return await task

    return await asyncio.gather(*(one(task) for task in tasks))
