"""DynamoDB as it is on a bad day: conflicts, throttles, answers that get lost after the write has happened."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.model import Place, Reservation, Scope
from quintet.net.client import NetError
from quintet.store import wire
from tests.contract.gateway.conftest import NOW, Books, Hands, table_books
from tests.loops import on_a_loop

MOST = 4  # times in which one and the same write goes wrong; it is tried eight times
BEFORE = ("ThrottlingException", "TransactionConflictException", "ProvisionedThroughputExceededException")


@pytest.fixture
def weather(monkeypatch: pytest.MonkeyPatch, quiet_tables: None) -> dict[str, int]:
    """Three writes in ten go wrong, none of them more often than it is tried; counts how."""
    unlucky: Counter[bytes] = Counter()
    chance, seen = random.Random(7), dict.fromkeys((*BEFORE, "lost", "failed"), 0)
    ask = wire._ask

    async def asked(operation: str, body: bytes, repeatable: bool, timeout: float) -> dict[str, Any]:
        if operation != "UpdateItem" or chance.random() < 0.7 or unlucky[body] == MOST:
            return await ask(operation, body, repeatable, timeout)
        fault = chance.choice([*seen])
        seen[fault] += 1
        unlucky[body] += 1
        if fault in BEFORE:
            raise wire.WireError(fault, "too much")
        await ask(operation, body, repeatable, timeout)
        if fault == "failed":
            raise wire.WireError("InternalServerError", "who knows")
        raise NetError("the connection broke", sent=True)

    monkeypatch.setattr(wire, "_ask", asked)
    monkeypatch.setattr(wire, "_FIRST_PAUSE", 0.001)
    return seen


@on_a_loop
async def test_nothing_is_held_or_charged_twice_and_nothing_leaks(weather: dict[str, int]) -> None:
    books = table_books(Hands(NOW), f"{random.getrandbits(48):012x}")
    own = await books.budget(4000)
    shared = await books.budget(10**6, Scope.PROVIDER, f"provider-{books.word}")
    instances = [books, books.another(), books.another()]
    chance = random.Random(11)

    async def call(instance: Books) -> Reservation | None:
        try:
            held = await instance.reserve(100)
        except Failure as failure:
            if failure.kind is not Kind.EXHAUSTED:
                raise
            return None
        if chance.random() < 0.2:
            await instance.ledger.release(held)
            return None
        await instance.ledger.settle(held, chance.randint(0, 100))
        return held

    settled: list[Reservation] = []
    for _ in range(6):
        done = await asyncio.gather(*[call(instance) for instance in instances for _ in range(5)])
        fresh = [each for each in done if each is not None]
        settled += fresh
        await books.record(*fresh)
        await books.record(*chance.sample(settled, min(5, len(settled))))
        state = await books.state(own)
        assert state.spent + state.reserved <= 4000
    for instance in instances:
        await instance.leases.close()
    total = sum(each.settle["cost"] for each in settled)
    for budget in (own, shared):
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (total, 0)
    assert (await books.purse(Place("accounts", books.payer.account))).open == {}
    assert min(weather.values()) > 0
