"""Fifty receivers on loopback, twenty-five of them ill in all the ways there are, and workers as the queue has them.

Time runs faster than outside: what a deployed system waits for in a minute is waited for in `60 / SPEED` seconds.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quintet.webhooks import delivering
from quintet.webhooks.model import Attempt, Delivery, Standing
from quintet.webhooks.queue import Errand
from tests.fakes.office import NOW, Office, entry
from tests.fakes.webhooks import FakeQueue, Receiver, receiving, says

SPEED = 15
WORKERS = 40
HEALTHY = "healthy"
ILL = ("failing", "hanging", "busy", "halving")
TYPES = (
    "task.created",
    "task.started",
    "task.progress",
    "task.completed",
    "task.failed",
    "task.cancelled",
    "escalation.requested",
    "escalation.approved",
    "escalation.rejected",
    "escalation.expired",
)
_BATCH = 40  # entries that the fanout is given at once


async def _hang(_number: int) -> bytes:
    await asyncio.Event().wait()
    return b""


async def _halve(_number: int) -> None:
    return None


ANSWERS: dict[str, Callable[[int], Awaitable[bytes | None]]] = {
    HEALTHY: says(200),
    "failing": says(500),
    "hanging": _hang,
    "busy": says(429, "Retry-After: 30"),
    "halving": _halve,
}
# As many as of each kind, spread over the types so that every type has healthy receivers and ill ones.
KINDS = (*[HEALTHY] * 25, *["failing"] * 10, *["hanging"] * 5, *["busy"] * 5, *["halving"] * 5)


@dataclass
class LiveQueue(FakeQueue):
    """Shows each errand at its time, by the fast clock."""

    shown: "asyncio.Queue[Errand]" = field(default_factory=asyncio.Queue)
    waiting: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def send(self, errands: Sequence[Errand], now: datetime) -> None:
        for errand in errands:
            self.waiting[errand.endpoint_id, errand.delivery_id] += 1
            wait = (errand.not_before - now) / SPEED if errand.not_before else timedelta()
            asyncio.get_running_loop().call_later(max(wait.total_seconds(), 0), self.shown.put_nowait, errand)


class LiveOffice(Office):
    def now(self) -> datetime:
        return NOW + timedelta(seconds=(time.perf_counter() - self.began) * SPEED)

    began = 0.0


@dataclass
class Storm:
    office: Office
    queue: LiveQueue
    events: int
    receivers: dict[str, tuple[str, Receiver]] = field(default_factory=dict)  # by endpoint
    seconds: float = 0.0
    delivered: int = 0  # to the healthy
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def due(self) -> int:
        """Deliveries to the healthy."""
        return self.events // len(TYPES) * self.count(HEALTHY)

    def landed(self, errand: Errand) -> None:
        healthy = self.receivers[errand.endpoint_id][0] == HEALTHY
        row = self.office.deliveries.rows[errand.endpoint_id, errand.delivery_id]
        self.delivered += healthy and row.standing is Standing.DELIVERED
        if self.delivered == self.due:
            self.over.set()

    def count(self, *kinds: str) -> int:
        return sum(1 for kind, _ in self.receivers.values() if kind in kinds)

    def missing(self) -> int:
        """Of the deliveries to the healthy, those that never arrived."""
        return self.due - sum(
            len({received.headers["webhook-id"] for received in receiver.received})
            for kind, receiver in self.receivers.values()
            if kind == HEALTHY
        )

    def untold(self) -> list[Delivery | str]:
        """What an ill endpoint was sent, or is still to be sent, and nobody would know of."""
        wrong: list[Delivery | str] = []
        for endpoint_id, (kind, receiver) in self.receivers.items():
            rows = [each for each in self.office.deliveries.rows.values() if each.endpoint_id == endpoint_id]
            if kind == HEALTHY:
                continue
            attempts = [attempt for row in rows for attempt in row.attempts]
            received, unheard = len(receiver.received), sum(map(_starved, attempts))
            heard = len(attempts) - unheard <= received <= len(attempts)
            if not heard or not attempts or len(rows) != self.events // len(TYPES):
                wrong.append(f"{kind} {endpoint_id}: {received} requests, {len(attempts)} attempts")
            wrong += [row for row in rows if not all(_fits(kind, each) for each in row.attempts)]
            wrong += [
                row
                for row in rows
                if row.standing is not Standing.PENDING or not self.queue.waiting[endpoint_id, row.id]
            ]
        return wrong


def _fits(kind: str, attempt: Attempt) -> bool:
    expected = {"failing": attempt.status == 500, "busy": attempt.status == 429}
    return _starved(attempt) or expected.get(kind, "closed in the middle" in attempt.error)


def _starved(attempt: Attempt) -> bool:
    """Those that hang, and others for which a busy machine left no time, before the request or after it."""
    return attempt.latency_ms >= delivering.SECONDS * 990 and "timed out" in attempt.error  # clocks differ a little


async def storm(events: int, *, ill: bool) -> Storm:
    """Returns when the healthy have everything and what is under way has ended."""
    queue = LiveQueue()
    office = LiveOffice(queue=queue, rights={"read_tasks", "read_escalations"})
    weather = Storm(office, queue, events)
    async with AsyncExitStack() as stack:
        for number, kind in enumerate(KINDS if ill else KINDS[:25]):
            receiver = await stack.enter_async_context(receiving(ANSWERS[kind]))
            had = frozenset(office.rights)
            endpoint = office.endpoint(receiver.url, TYPES[number % len(TYPES)], had=had)
            weather.receivers[endpoint.id] = kind, receiver
        office.began = time.perf_counter()
        told = asyncio.create_task(_tell(office, events))
        workers = [asyncio.create_task(_work(weather)) for _ in range(WORKERS)]
        await told
        await weather.over.wait()
        weather.seconds = time.perf_counter() - office.began
        for _ in workers:
            queue.shown.put_nowait(Errand("", ""))  # wakes whoever waits
        await asyncio.gather(*workers)
    return weather


async def _tell(office: Office, events: int) -> None:
    entries = [entry(number, TYPES[number % len(TYPES)]) for number in range(1, events + 1)]
    for start in range(0, events, _BATCH):
        await office.telling.tell(entries[start : start + _BATCH], office.now())


async def _work(weather: Storm) -> None:
    queue = weather.queue
    while True:
        errand = await queue.shown.get()
        if weather.over.is_set():
            return
        await weather.office.delivering.run(errand)
        queue.waiting[errand.endpoint_id, errand.delivery_id] -= 1
        weather.landed(errand)
