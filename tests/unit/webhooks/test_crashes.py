"""Processes that die at any point, and messages that come again as streams and queues bring them again."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from quintet.events.model import Entry
from quintet.webhooks import delivering as module
from quintet.webhooks.delivering import Answered
from quintet.webhooks.model import Attempt, Delivery, Endpoint, Standing
from quintet.webhooks.queue import Errand
from tests.fakes.office import NOW, Office, entry
from tests.fakes.webhooks import FakeDeliveries, FakeEndpoints, FakeGates, FakeQueue

SHOWN_AGAIN = timedelta(seconds=180)  # the delivery queue's visibility timeout
SWEEP, LOST = timedelta(hours=1), timedelta(minutes=20)
TYPES = ("task.created", "task.started", "task.completed", "task.failed")


class Killed(BaseException):
    """As by kill -9: nobody in its way can do anything."""


@dataclass
class Fate:
    """Kills whoever makes a call, before or after what the call does."""

    luck: random.Random
    first: int
    after: float
    most: int = 6
    calls: int = 0
    deaths: int = 0

    def meet(self) -> None:
        self.calls += 1
        struck = self.calls == self.first or (self.calls > self.first and self.luck.random() < self.after)
        if struck and self.deaths < self.most:
            self.deaths += 1
            raise Killed


class Mortal:
    """A port whose every call is a point to die at."""

    def __init__(self, port: Any, fate: Fate) -> None:
        self._port = port
        self._fate = fate

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._port, name)

        async def mortal(*args: Any) -> Any:
            await asyncio.sleep(0)
            self._fate.meet()
            answer = await call(*args)
            self._fate.meet()
            await asyncio.sleep(0)
            return answer

        return mortal


@dataclass
class World:
    """A stream that tells a batch until it is done, and a queue that shows a message until it is done."""

    seed: int
    mortal: bool = True
    deliveries: FakeDeliveries = field(default_factory=FakeDeliveries)
    endpoints: FakeEndpoints = field(default_factory=FakeEndpoints)
    queue: FakeQueue = field(default_factory=FakeQueue)
    hidden: list[tuple[datetime, list[Errand]]] = field(default_factory=list)
    received: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.luck = random.Random(self.seed)
        self.fate = Fate(self.luck, self.luck.randrange(1, 120), self.luck.choice((0.0, 0.02, 0.2)))
        self.fate.most = self.luck.randrange(1, 8) if self.mortal else 0
        ports: Any = [Mortal(port, self.fate) for port in (self.endpoints, self.deliveries, FakeGates(), self.queue)]
        self.office = Office(endpoints=ports[0], deliveries=ports[1], gates=ports[2], queue=ports[3])

    def endpoint(self, url: str, *events: str) -> Endpoint:
        office = Office(endpoints=self.endpoints, made=len(self.endpoints.rows))
        return office.endpoint(url, *events)

    async def receive(self, endpoint: Endpoint, delivery: Delivery, now: datetime) -> Answered:
        self.fate.meet()
        await asyncio.sleep(0)
        key = (endpoint.id, delivery.event_id)
        taken = self.failed[key] == 3 or self.luck.random() < 0.7
        (self.received if taken else self.failed)[key] += 1
        self.fate.meet()  # the receiver has it, and nobody will ever know
        return Answered(Attempt(now, 5, 200 if taken else 500))

    async def fan_out(self, entries: Sequence[Entry]) -> None:
        while not await self._lives(self.office.telling.tell(entries, self.office.at)):
            self.office.at += timedelta(seconds=1)

    async def deliver(self) -> None:
        """All that the queue shows by now."""
        shown = [errand for at, batch in self.hidden if at <= self.office.at for errand in batch]
        self.hidden = [(at, batch) for at, batch in self.hidden if at > self.office.at]
        ready = [*self.queue.take(self.office.at), *shown]
        self.luck.shuffle(ready)
        for start in range(0, len(ready), 10):
            batch = ready[start : start + 10]
            if not await self._lives(*(self.office.delivering.run(errand) for errand in batch)):
                self.hidden.append((self.office.at + SHOWN_AGAIN, batch))

    async def go_on(self, end: timedelta) -> None:
        """Until all is told, or the end."""
        sweep = NOW + SWEEP
        while self.office.at < NOW + end and any(
            each.standing is Standing.PENDING for each in self.deliveries.rows.values()
        ):
            await self.deliver()
            ahead = [each.not_before or self.office.at for each in self.queue.errands]
            self.office.at = max(self.office.at, min([sweep, *ahead, *(at for at, _ in self.hidden)]))
            if self.office.at == sweep:
                sweep += SWEEP
                self._look_for_lost()

    def _look_for_lost(self) -> None:
        rows, before = self.deliveries.rows.values(), self.office.at - LOST
        lost = [each for each in rows if each.standing is Standing.PENDING and each.next_at < before]
        self.queue.errands += [Errand(each.endpoint_id, each.id) for each in lost]

    async def _lives(self, *work: Coroutine[Any, Any, Any]) -> bool:
        """One process: its death is that of all that it does."""
        tasks = [asyncio.create_task(each) for each in work]
        done, alive = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in alive:
            task.cancel()
        await asyncio.gather(*alive, return_exceptions=True)
        deaths = [death for death in (task.exception() for task in done) if death is not None]
        assert all(isinstance(death, Killed) for death in deaths), deaths
        return not deaths


async def life(world: World, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Everything that was to be told, by endpoint and event."""
    monkeypatch.setattr(module, "attempt", world.receive)
    wants = [("*",), ("task.created",), ("task.c*", "task.*"), ("escalation.*",)]
    endpoints = [world.endpoint(f"https://hook{n}.example.com", *each) for n, each in enumerate(wants)]
    due = set()
    for first in range(0, 12, 4):
        entries = [entry(first + n, world.luck.choice(TYPES)) for n in range(1, 5)]
        due |= {(each.id, one.event.id) for each in endpoints for one in entries if each.wants(one.event.type)}
        await world.fan_out(entries)
        await world.deliver()
    await world.go_on(timedelta(hours=23))
    return due


@pytest.mark.parametrize("seed", range(100))
def test_whoever_dies_wherever_no_event_is_lost(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(seed)
    due = asyncio.run(life(world, monkeypatch))
    assert world.fate.deaths
    assert set(world.received) == due
    assert {each.standing for each in world.deliveries.rows.values()} == {Standing.DELIVERED}
    again = sum(world.received.values()) - len(due)
    assert again <= 10 * world.fate.deaths  # those that were under way in a process that died, and no others


@pytest.mark.parametrize("seed", range(10))
def test_where_nobody_dies_nothing_is_told_twice(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(seed, mortal=False)
    due = asyncio.run(life(world, monkeypatch))
    assert world.received == Counter(due)
