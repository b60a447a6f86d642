"""Calls whose process died: closed at their bound when their time has run out, with a record that says so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from quintet.errors import Failure
from quintet.gateway.ledger.model import Scope
from tests.contract.gateway.conftest import Books
from tests.loops import on_a_loop


@on_a_loop
async def test_the_next_call_of_the_account_closes_them(books: Books) -> None:
    budget = await books.budget(1000)
    lost = await books.another().reserve(600)
    await books.reserve(300)
    with pytest.raises(Failure):
        await books.reserve(200)
    books.clock.at += timedelta(seconds=69)
    assert await books.abandoned(lost) is None
    books.clock.at += timedelta(seconds=1)
    await books.reserve(100)
    state = await books.state(budget)
    assert (state.spent, state.reserved) == (900, 100)
    record = await books.abandoned(lost)
    assert record is not None
    assert (
        record.items()
        >= {
            "call_id": lost.call_id,
            "model": f"model-{books.word}",
            "provider": f"provider-{books.word}",
            "principal": books.payer.principal,
            "key_id": books.key,
            "status": "error",
            "failure": "abandoned",
            "bound": 600,
            "cost": 600,
            "usage_known": False,
        }.items()
    )


@on_a_loop
async def test_so_does_the_schedule_and_the_record_settles_the_rest(books: Books) -> None:
    own = await books.budget(1000)
    task = await books.budget(1000, Scope.TASK, f"task_{books.word}")
    lost = await books.reserve(600, payer=replace(books.payer, task=f"task_{books.word}"))
    await books.sweep()
    assert await books.abandoned(lost) is None
    books.clock.at += timedelta(seconds=70)
    assert await books.sweep() >= 1
    assert (await books.state(own)).spent == 600
    record = await books.abandoned(lost)
    assert record is not None
    for _ in range(2):
        await books.settling.settle_records([{"facts": {"calls": [record]}}])
    for budget in (own, task):
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (600, 0)


@on_a_loop
async def test_what_was_known_to_cost_less_is_closed_at_that(books: Books) -> None:
    budget = await books.budget(1000)
    dead = books.another()
    lost = await dead.reserve(600)
    await dead.ledger.settle(lost, 50)
    await dead.reserve(500)  # takes along that the first one needs no more than 50
    books.clock.at += timedelta(seconds=70)
    await books.sweep()
    assert (await books.state(budget)).spent == 550
    record = await books.abandoned(lost)
    assert record is not None
    assert record["cost"] == 50


@on_a_loop
async def test_a_record_that_comes_too_late_changes_the_other_one(books: Books) -> None:
    """Together they say what the ledger says."""
    budget = await books.budget(1000)
    late = await books.reserve(600)
    books.clock.at += timedelta(seconds=70)
    await books.sweep()
    await books.ledger.settle(late, 150)
    for _ in range(2):
        assert await books.record(late) == 0
    record = await books.abandoned(late)
    assert record is not None
    assert (record["cost"] + 150, (await books.state(budget)).spent) == (600, 600)


@on_a_loop
async def test_a_late_record_of_a_call_that_nobody_gave_up_settles_it(books: Books) -> None:
    budget = await books.budget(1000)
    late = await books.reserve(600)
    await books.ledger.settle(late, 150)
    books.clock.at += timedelta(seconds=70)
    assert await books.record(late) == 1
    await books.sweep()
    assert await books.abandoned(late) is None
    assert (await books.state(budget)).spent == 150


@on_a_loop
async def test_a_worker_that_takes_the_call_over_keeps_it_alive(books: Books) -> None:
    budget = await books.budget(1000)
    await books.another().reserve(600, "step")
    books.clock.at += timedelta(seconds=40)
    again = await books.reserve(600, "step")
    books.clock.at += timedelta(seconds=40)
    await books.sweep()  # of the calls that other tests have left there, too
    assert await books.abandoned(again) is None
    await books.ledger.settle(again, 10)
    await books.record(again)
    assert (await books.state(budget)).spent == 10
