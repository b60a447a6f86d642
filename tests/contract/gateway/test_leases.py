"""What all callers share: a slice at a time, never more than the cap, and nothing lost with an instance."""

import asyncio
from datetime import timedelta

import pytest

from quintet.errors import Failure
from quintet.gateway.ledger.model import Budget, Scope, Window
from quintet.store.wire import watched
from tests.contract.gateway.conftest import Books
from tests.loops import on_a_loop


async def shared(books: Books, cap: int, window: Window = Window.TOTAL) -> Budget:
    return await books.budget(cap, Scope.PROVIDER, f"provider-{books.word}", window)


@on_a_loop
async def test_a_shared_budget_bounds_every_caller(books: Books) -> None:
    budget = await shared(books, 1000)
    await books.reserve(700)
    with pytest.raises(Failure) as refused:
        await books.another().reserve(400)
    assert refused.value.details == {
        "scope": "provider",
        "subject": budget.subject,
        "window": "total",
        "cap_usd": 0.000001,
        "spent_usd": 0.0,
        "resets_at": None,
        "affordable": 300,
    }
    assert books.told.times == []
    await books.reserve(300)


@on_a_loop
async def test_what_a_call_did_not_need_serves_the_next_one(books: Books) -> None:
    await shared(books, 1000)
    for _ in range(20):
        await books.ledger.settle(await books.reserve(900), 5)
    with pytest.raises(Failure) as refused:
        await books.reserve(901)
    assert refused.value.details["affordable"] == 900


@on_a_loop
async def test_the_records_tell_what_was_spent_in_any_order_and_as_often_as_they_like(books: Books) -> None:
    budget = await shared(books, 100_000)
    held = [await books.reserve(100) for _ in range(5)]
    for number, each in enumerate(held):
        await books.ledger.settle(each, 10 + number)
    await books.record(held[4])
    await books.record(*held[:3])
    await books.record(held[3], held[4])
    state = await books.state(budget)
    assert state.spent == 60
    await books.leases.close()
    state = await books.state(budget)
    assert (state.spent, state.reserved) == (60, 0)
    await books.record(*held)
    assert (await books.state(budget)).spent == 60


@on_a_loop
async def test_many_calls_cost_few_writes_of_the_shared_item(books: Books) -> None:
    await shared(books, 10**12)
    await books.reserve(1000)
    with watched() as calls:
        for _ in range(7):
            await books.ledger.settle(await books.reserve(1000), 900)
    assert len(calls) <= 7  # the account's own; the fakes make none


@on_a_loop
async def test_a_call_may_draw_on_several_shards(books: Books) -> None:
    cap = 60_000_000_000
    budget = await shared(books, cap)
    assert budget.shards == 3
    held = await books.reserve(cap - 7)
    with pytest.raises(Failure) as refused:
        await books.reserve(8)
    assert refused.value.details["affordable"] == 7
    await books.ledger.settle(held, cap - 100)
    await books.record(held)
    await books.leases.close()
    state = await books.state(budget)
    assert (state.spent, state.reserved, state.remaining) == (cap - 100, 0, 100)


@on_a_loop
async def test_concurrent_calls_of_several_instances_never_pass_the_cap(books: Books) -> None:
    budget = await shared(books, 1000)
    instances = [books, *(books.another() for _ in range(3))]

    async def spend(instance: Books, cost: int) -> int:
        try:
            held = await instance.reserve(50)
        except Failure:
            return 0
        await asyncio.sleep(0)
        await instance.ledger.settle(held, cost)
        await instance.record(held)
        return cost

    spent = 0
    for _ in range(4):
        spent += sum(await asyncio.gather(*[spend(instance, 45) for instance in instances for _ in range(5)]))
    for instance in instances:
        await instance.leases.close()
    state = await books.state(budget)
    assert (state.spent, state.reserved) == (spent, 0)
    assert 800 < spent <= 1000  # the rest lies about in the leases of others


@on_a_loop
async def test_an_instance_that_died_gives_back_what_its_records_do_not_need(books: Books) -> None:
    budget = await shared(books, 10_000)
    dead = books.another()
    told = await dead.reserve(100)
    await dead.ledger.settle(told, 30)
    await books.record(told)
    lost = await dead.reserve(100)
    assert (await books.state(budget)).reserved > 0
    books.clock.at += timedelta(minutes=2)
    assert await books.sweep() >= 1  # the call whose record never came
    record = await books.abandoned(lost)
    assert record is not None
    assert record["cost"] == 100
    await books.settling.settle_records([{"facts": {"calls": [record]}}])
    assert (await books.state(budget)).reserved > 0  # something may still turn up
    books.clock.at += timedelta(minutes=30)
    assert await books.sweep() >= 1
    state = await books.state(budget)
    assert (state.spent, state.reserved) == (130, 0)


@on_a_loop
async def test_begin_anew_with_the_window(books: Books) -> None:
    budget = await shared(books, 1000, Window.HOUR)
    held = await books.reserve(1000, seconds=3600)
    books.clock.at += timedelta(minutes=30)
    await books.reserve(1000, seconds=3600)
    await books.ledger.settle(held, 500)
    await books.record(held)
    state = await books.state(budget)
    assert (state.spent, state.reserved) == (0, 1000)


@on_a_loop
async def test_a_lower_cap_bites_and_a_higher_one_gives_room(books: Books) -> None:
    cap = 100_000_000_000
    budget = await shared(books, cap)
    held = await books.reserve(cap // 2)
    await books.control.change(budget.id, cap // 4, actor="test", now=books.clock.at)
    with pytest.raises(Failure) as refused:
        await books.another().reserve(1)
    assert refused.value.details["affordable"] == 0
    await books.control.change(budget.id, 20 * cap, actor="test", now=books.clock.at)
    other = books.another()
    assert (await books.control.get(budget.id)).shards == 96
    await other.reserve(cap + cap // 2)
    await books.ledger.release(held)


@on_a_loop
async def test_a_budget_that_is_gone_bounds_nothing(books: Books) -> None:
    budget = await shared(books, 100)
    other = books.another()
    await other.reserve(100)
    await books.control.remove(budget.id, actor="test")
    held = await other.reserve(10**6)
    await other.ledger.settle(held, 10)
    await books.record(held)


@on_a_loop
async def test_a_dry_budget_is_looked_into_less_and_less_and_found_again_in_time(books: Books) -> None:
    await shared(books, 1000)
    other = books.another()
    held = await other.reserve(1000)
    for _ in range(30):
        with pytest.raises(Failure):
            await books.reserve(100)
    with watched() as calls, pytest.raises(Failure):
        await books.reserve(100)
    assert calls == []  # known to be dry: nobody is asked
    await other.ledger.release(held)
    await other.leases.close()
    books.clock.at += timedelta(seconds=2)
    await books.reserve(100)


@on_a_loop
async def test_a_higher_cap_of_a_dry_budget_is_found_at_once(books: Books) -> None:
    budget = await shared(books, 1000)
    await books.another().reserve(1000)
    for _ in range(30):
        with pytest.raises(Failure):
            await books.reserve(100)
    await books.control.change(budget.id, 5000, actor="test", now=books.clock.at)
    await books.reserve(100)
