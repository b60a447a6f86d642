"""One budget of the whole system at 50,000 calls a second, simulated: no item takes more than DynamoDB gives it."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from quintet.gateway.ledger.leases import Drawn, Leases, NotEnough
from quintet.gateway.ledger.model import Budget, Place, Scope, Window, shards_for
from quintet.gateway.ledger.purse import Change, Entry
from quintet.gateway.ledger.settling import Settling
from tests.fakes.ledger import FakeBudgets, FakePurses, FakeRecords

CALLS_A_SECOND = 50_000
INSTANCES = 2_500  # each makes 20 calls a second
BOUND, COST = 7_000_000, 5_000_000  # nano-USD: seven thousandths of a dollar at the worst
AT_ONCE = 20  # calls that are simulated as one draw, for the sake of the suite's time
CONSUMERS = 50  # shards of the request log's stream at that rate
SECONDS, LASTS = 3, 60  # how long we look; how long the money would last
UNITS_A_SECOND = 1000  # what an item takes: one unit writes a kilobyte


@dataclass
class Hands:
    at: datetime = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class Metered(FakePurses):
    """`units` are the write units that each item took in the present second."""

    units: Counter[Place] = field(default_factory=Counter)

    def _write(self, place: Place, change: Change, rev: int | None, caller: bool) -> None:
        self.units[place] += 1 + (200 + len(self.purses[place].open or {}) * ENTRY) // 1024
        super()._write(place, change, rev, caller)


ENTRY = len(json.dumps({"l0123456789ab": Entry(10**9, 10**13, 10**13, {"h": 10**11}, True, 10**9).row()}))


def test_one_system_budget_holds_at_fifty_thousand_calls_a_second() -> None:
    asyncio.run(simulated())


def test_the_last_of_the_money_is_not_stormed() -> None:
    """Every instance comes to the end in the same moment, and looks again for what others give back."""
    asyncio.run(drained())


async def drained() -> None:
    clock, purses, many, each = Hands(), Metered(), 1000, COST * AT_ONCE
    cap = many * each * 4
    budget = Budget(Scope.SYSTEM, "*", Window.DAY, cap, 0, shards_for(Scope.SYSTEM, cap))
    FakeBudgets(purses).add(budget, clock.now())
    instances = [Leases(purses, clock) for _ in range(many)]
    spent = refused = 0

    async def call(leases: Leases, number: int) -> int:
        name = f"{number}-{clock.at:%S%f}"
        try:
            drawn = await leases.draw([budget], name, BOUND * AT_ONCE, clock.now(), clock.now() + timedelta(seconds=60))
        except NotEnough:
            return 0
        leases.settle(drawn, name, each)
        return each

    for number, leases in enumerate(instances):
        leases.settle(await leases.draw([budget], f"{number}", BOUND, clock.now(), clock.now()), f"{number}", 0)
    for _ in range(7):
        purses.units.clear()
        clock.at += timedelta(seconds=1)
        told = await asyncio.gather(*[call(leases, number) for number, leases in enumerate(instances)])
        spent += sum(told)
        refused += told.count(0)
        assert max(purses.units.values(), default=0) < UNITS_A_SECOND
        assert sum(pot.cap - pot.free for purse in purses.purses.values() for pot in purse.pots.values()) <= cap
    assert refused
    for leases in instances:
        await leases.close()
    clock.at += timedelta(seconds=8)
    late = [await call(leases, number) for number, leases in enumerate(instances[:200])]
    assert spent + sum(late) <= cap
    assert late.count(0) == 0 or cap - spent - sum(late) < each * 2  # what came back is found


async def simulated() -> None:
    clock, purses = Hands(), Metered()
    settling = Settling(purses, FakeRecords(), clock)
    cap = CALLS_A_SECOND * COST * LASTS
    budget = Budget(Scope.SYSTEM, "*", Window.DAY, cap, 0, shards_for(Scope.SYSTEM, cap))
    FakeBudgets(purses).add(budget, clock.now())
    instances = [Leases(purses, clock) for _ in range(INSTANCES)]
    spent = 0
    rate = CALLS_A_SECOND // INSTANCES // AT_ONCE

    async def call(leases: Leases, number: int) -> list[Drawn]:
        name = f"{number}-{clock.at:%S%f}"
        expires = clock.now() + timedelta(seconds=60)
        drawn = await leases.draw([budget], name, BOUND * AT_ONCE, clock.now(), expires)
        return leases.settle(drawn, name, COST * AT_ONCE)

    for number, leases in enumerate(instances):  # a first call each: nobody knows yet how many will follow
        leases.settle(await leases.draw([budget], f"{number}", BOUND, clock.now(), clock.now()), f"{number}", 0)
    clock.at += timedelta(seconds=1 / rate)
    for _ in range(SECONDS):
        for _ in range(rate):
            told = await asyncio.gather(*[call(leases, number) for number, leases in enumerate(instances)])
            spent += COST * AT_ONCE * len(told)
            records = [record(drawn) for drawn in told]
            random.shuffle(records)
            shares = [records[start::CONSUMERS] for start in range(CONSUMERS)]
            await asyncio.gather(*[settling.settle_records(share) for share in shares if share])
            clock.at += timedelta(seconds=1 / rate)
            taken = sum(pot.cap - pot.free for purse in purses.purses.values() for pot in purse.pots.values())
            assert taken <= cap
        assert max(purses.units.values()) < UNITS_A_SECOND
        purses.units.clear()
    for leases in instances:
        await leases.close()
    pots = [pot for purse in purses.purses.values() for pot in purse.pots.values()]
    assert sum(pot.spent for pot in pots) == spent
    assert sum(pot.free for pot in pots) == cap - spent


def record(drawn: list[Drawn]) -> dict[str, Any]:
    settle = {"reservation": "r", "account": "a", "at": 0, "expires": 10**15, "cost": COST, "leases": drawn}
    return {"facts": {"calls": [{"settle": settle}]}}
