"""Agents stepped over fakes, by policies made on the spot."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.policy.catalogue import Catalogue
from quintet.policy.model import ANY, Choice, Handle, Order, Spent, Step, Wanted
from quintet.policy.stepping import Stepping
from tests.fakes.policy import FakeAgents, FakeShelf, shelf

SEEN = [0.1, 0.2, 0.3, 0.4]
IDLE = timedelta(days=30)


@dataclass
class FakeClock:
    at: datetime = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class House:
    """Its instances share the agents, and remember on their own."""

    agents: FakeAgents = field(default_factory=FakeAgents)
    shelf: FakeShelf = field(default_factory=shelf)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.first = self.instance()

    def instance(self) -> Stepping:
        return Stepping(self.agents, Catalogue([self.shelf], "small"), self.clock)

    async def step(
        self,
        handle: Handle,
        observation: Any = SEEN,
        *,
        by: Stepping | None = None,
        step_id: str | None = None,
        seed: int | None = None,
        deterministic: bool = True,
        wanted: Wanted = ANY,
    ) -> Step:
        order = Order(deterministic, seed, wanted)
        return await (by or self.first).step(handle, observation, order, Spent(), step_id)

    async def batch(self, handles: list[Handle], rows: Any, *, by: Stepping | None = None) -> list[Choice]:
        return await (by or self.first).step_batch(handles, rows, Order(True), Spent())

    async def reset(self, handle: Handle, wanted: Wanted = ANY, *, by: Stepping | None = None) -> None:
        await (by or self.first).reset(handle, wanted, Spent())


def named(agent_id: str) -> Handle:
    return Handle(f"user#me|{agent_id}", agent_id, IDLE)


DEFAULT = Handle("user#me|default", "default", IDLE, from_start=True)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A race is lost for good after a moment."""
    return lambda: monkeypatch.setattr("quintet.policy.stepping._PATIENCE", 0.05)
