"""Each test of the ledger runs twice: over the fakes, and over the tables in the emulator."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.events.audit import audited
from quintet.gateway.ledger.budgets import Budgets
from quintet.gateway.ledger.definitions import Definitions
from quintet.gateway.ledger.keeper import Keeper
from quintet.gateway.ledger.leases import Leases
from quintet.gateway.ledger.model import Budget, Place, Reservation, Scope, State, Window
from quintet.gateway.ledger.purse import Purse
from quintet.gateway.ledger.settling import Settling
from quintet.gateway.ledger.store import abandoned, budgets, purses
from quintet.gateway.model import Payer
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import from_millis
from quintet.store.ids import id_of
from quintet.telemetry.requests import bucket_of
from tests.fakes.ledger import FakeLedger, Told

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@dataclass
class Hands:
    """A clock that a test moves."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Books:
    """One instance's ledger, what surrounds it, and a caller whom nobody else knows."""

    ledger: Keeper
    control: Budgets
    settling: Settling
    leases: Leases
    clock: Hands
    told: Told
    reread: Any
    word: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def key(self) -> str:
        return f"key_{self.word}"

    @property
    def payer(self) -> Payer:
        return Payer(f"owner-{self.word}", f"key#{self.key}", key_id=self.key)

    async def budget(
        self, cap: int, scope: Scope = Scope.KEY, subject: str | None = None, window: Window = Window.TOTAL
    ) -> Budget:
        made, _ = await self.control.put(scope, subject or self.key, window, cap, actor="test", now=self.clock.at)
        return made

    async def reserve(
        self, bound: int, call_id: str | None = None, payer: Payer | None = None, seconds: float = 10.0
    ) -> Reservation:
        return await self.ledger.reserve(
            payer or self.payer,
            call_id or f"call_{secrets.token_hex(6)}",
            bound,
            self.clock.at,
            seconds,
            provider=f"provider-{self.word}",
            model=f"model-{self.word}",
        )

    async def record(self, *reservations: Reservation) -> int:
        """What the request log's consumer does with the calls' records."""
        return await self.settling.settle_records([record_of(each) for each in reservations])

    async def state(self, budget: Budget) -> State:
        (state,) = await self.control.states([await self.control.get(budget.id)], self.clock.at)
        return state

    async def purse(self, place: Place) -> Purse:
        purse: Purse = (await self.reread([place]))[place]
        return purse

    def another(self) -> "Books":
        """Another instance over the same tables."""
        raise NotImplementedError

    async def abandoned(self, reservation: Reservation) -> dict[str, Any] | None:
        """What the request log says of a call that was given up."""
        raise NotImplementedError

    async def sweep(self) -> int:
        """All that the schedule does, and what comes of the records that it writes."""
        closed = 0
        for table in ("accounts", "budgets"):
            for shard in range(purses.HELD_SHARDS):
                closed += await self.settling.sweep(table, shard)
        return closed


def record_of(reservation: Reservation) -> Mapping[str, Any]:
    told = reservation.settle
    return {"facts": {"calls": [{"call_id": reservation.call_id, "cost": told.get("cost"), "settle": dict(told)}]}}


@dataclass
class FakeBooks(Books):
    fake: FakeLedger = field(default_factory=FakeLedger)

    def another(self) -> Books:
        fake = FakeLedger(self.fake.purses, self.fake.budgets, self.clock, records=self.fake.records)
        return fake_books(fake, self.clock, self.word)

    async def abandoned(self, reservation: Reservation) -> dict[str, Any] | None:
        return self.fake.records.calls.get(reservation.call_id)


@dataclass
class TableBooks(Books):
    def another(self) -> Books:
        return table_books(self.clock, self.word)

    async def abandoned(self, reservation: Reservation) -> dict[str, Any] | None:
        record_id = id_of("rec", from_millis(reservation.settle["at"]), reservation.call_id)
        key = wire.to_item({"bucket": bucket_of(record_id), "record_id": record_id})
        request = {"TableName": settings().table("requests"), "Key": key, "ConsistentRead": True}
        item = (await wire.call("GetItem", request)).get("Item")
        call: dict[str, Any] | None = wire.from_item(item)["facts"]["calls"][0] if item else None
        return call


def fake_books(fake: FakeLedger, clock: Hands, word: str) -> Books:
    return FakeBooks(
        fake, fake.control, fake.settling, fake.leases, clock, fake.told, fake.purses.read, word, fake=fake
    )


def table_books(clock: Hands, word: str) -> Books:
    definitions, leases, told = Definitions(budgets), Leases(purses, clock), Told()
    settling = Settling(purses, abandoned, clock)
    ledger = Keeper(purses, definitions, leases, settling.give_up, told, clock=clock)
    control = Budgets(budgets, purses.read, audited, definitions.forget)
    return TableBooks(ledger, control, settling, leases, clock, told, purses.read, word)


@pytest.fixture(params=["fakes", "tables"])
def books(request: pytest.FixtureRequest) -> Books:
    clock, word = Hands(), secrets.token_hex(6)
    if request.param == "tables":
        request.getfixturevalue("quiet_tables")
        return table_books(clock, word)
    return fake_books(FakeLedger(clock=clock), clock, word)
