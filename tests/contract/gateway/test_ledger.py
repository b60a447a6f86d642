"""What every ledger keeps: caps to the nano-dollar, one settlement a call, windows that roll, nothing that leaks."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.model import Place, Reservation, Scope, Window
from quintet.gateway.model import Payer
from tests.contract.gateway.conftest import Books
from tests.loops import on_a_loop


class TestACallersOwnBudget:
    @on_a_loop
    async def test_is_held_while_a_call_runs_and_spent_when_its_record_is_told(self, books: Books) -> None:
        budget = await books.budget(1000)
        held = await books.reserve(300)
        state = await books.state(budget)
        assert (state.spent, state.reserved, state.remaining) == (0, 300, 700)
        await books.ledger.settle(held, 120)
        assert await books.record(held) == 1
        state = await books.state(budget)
        assert (state.spent, state.reserved, state.remaining) == (120, 0, 880)

    @on_a_loop
    async def test_refuses_what_it_cannot_bear_and_says_why(self, books: Books) -> None:
        await books.budget(1000, window=Window.DAY)
        await books.reserve(300)
        with pytest.raises(Failure) as refused:
            await books.reserve(701)
        assert refused.value.kind is Kind.EXHAUSTED
        assert refused.value.details == {
            "scope": "key",
            "subject": books.key,
            "window": "day",
            "cap_usd": 0.000001,
            "spent_usd": 0.0,
            "resets_at": "2026-11-21T00:00:00Z",
            "affordable": 700,
        }
        assert refused.value.message == (
            f"The key {books.key}'s budget of this day (0.000001 USD) has 0.0000007 USD left, "
            "less than this call may cost; it resets at 2026-11-21T00:00:00Z"
        )
        await books.reserve(700)

    @on_a_loop
    async def test_a_total_one_does_not_reset(self, books: Books) -> None:
        await books.budget(10)
        with pytest.raises(Failure, match="does not reset: raise its cap") as refused:
            await books.reserve(11)
        assert refused.value.details["resets_at"] is None

    @on_a_loop
    async def test_needs_nothing_of_a_call_that_costs_nothing(self, books: Books) -> None:
        await books.budget(0)
        assert (await books.reserve(0)).settle == {}
        with pytest.raises(Failure):
            await books.reserve(1)

    @on_a_loop
    async def test_whoever_has_none_is_only_noted(self, books: Books) -> None:
        assert (await books.reserve(10**12)).settle == {}

    @on_a_loop
    async def test_gives_back_at_once_here_what_a_call_did_not_need(self, books: Books) -> None:
        budget = await books.budget(1000)
        await books.ledger.settle(await books.reserve(900), 100)
        await books.reserve(900)
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (0, 1000)  # spent is what the request log knows of

    @on_a_loop
    async def test_bounds_concurrent_calls_together(self, books: Books) -> None:
        budget = await books.budget(1000)
        held = await asyncio.gather(*[books.reserve(100) for _ in range(13)], return_exceptions=True)
        assert sum(isinstance(each, Failure) for each in held) == 3
        assert (await books.state(budget)).remaining == 0

    @on_a_loop
    async def test_lets_calls_go_side_by_side_while_there_is_money(self, books: Books) -> None:
        budget = await books.budget(10**9)

        async def caller() -> None:
            for _ in range(6):
                held = await books.reserve(1000)
                await asyncio.sleep(0)
                await books.ledger.settle(held, 10)
                await books.record(held)

        await asyncio.gather(*[caller() for _ in range(16)])
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (16 * 6 * 10, 0)

    @on_a_loop
    async def test_refuses_nobody_while_what_others_give_back_is_enough(self, books: Books) -> None:
        """Their records come late: what they did not need is given back by the calls that want it."""
        budget = await books.budget(4 * 1000 + 4 * 10 * 10)

        async def caller() -> list[Reservation]:
            made = []
            for _ in range(10):
                made.append(await books.reserve(1000))
                await asyncio.sleep(0)
                await books.ledger.settle(made[-1], 10)
            return made

        made = [each for held in await asyncio.gather(*[caller() for _ in range(4)]) for each in held]
        assert await books.record(*made) == 40
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (400, 0)

    @on_a_loop
    async def test_bounds_two_instances_together(self, books: Books) -> None:
        await books.budget(1000)
        other = books.another()
        await books.reserve(600)
        with pytest.raises(Failure):
            await other.reserve(600)
        await other.reserve(400)

    @on_a_loop
    async def test_every_window_must_bear_the_call(self, books: Books) -> None:
        await books.budget(1000, window=Window.HOUR)
        await books.budget(500, window=Window.MONTH)
        with pytest.raises(Failure) as refused:
            await books.reserve(600)
        assert (refused.value.details["window"], refused.value.details["affordable"]) == ("month", 500)
        assert refused.value.details["resets_at"] == "2026-12-01T00:00:00Z"

    @on_a_loop
    async def test_a_principals_own_account_bears_the_principals_budget(self, books: Books) -> None:
        payer = Payer(books.word, f"user#{books.word}")
        budget = await books.budget(100, Scope.PRINCIPAL, books.word)
        with pytest.raises(Failure) as refused:
            await books.reserve(101, payer=payer)
        assert refused.value.details["subject"] == books.word
        await books.reserve(60, payer=payer)
        assert (await books.state(budget)).reserved == 60

    @on_a_loop
    async def test_tells_once_more_each_time_and_leaves_it_to_the_teller(self, books: Books) -> None:
        budget = await books.budget(1)
        with pytest.raises(Failure):
            await books.reserve(2)
        assert books.told.times == [(budget.id, 0)]


class TestOnceOnly:
    @on_a_loop
    async def test_a_record_told_many_times_settles_once(self, books: Books) -> None:
        budget = await books.budget(1000)
        held = await books.reserve(300)
        await books.ledger.settle(held, 120)
        assert [await books.record(held), await books.record(held), await books.record(held, held)] == [1, 0, 0]
        assert (await books.state(budget)).spent == 120

    @on_a_loop
    async def test_a_call_settled_twice_costs_what_was_said_first(self, books: Books) -> None:
        budget = await books.budget(1000)
        held = await books.reserve(300)
        await books.ledger.settle(held, 120)
        await books.ledger.settle(held, 300)
        await books.record(held)
        assert (await books.state(budget)).spent == 120

    @on_a_loop
    async def test_a_call_reserved_twice_holds_its_money_once(self, books: Books) -> None:
        budget = await books.budget(1000)
        await books.reserve(600, "call_a")
        again = await books.another().reserve(700, "call_a")
        assert (await books.state(budget)).reserved == 700
        await books.ledger.settle(again, 50)
        await books.record(again)
        assert (await books.state(budget)).spent == 50

    @on_a_loop
    async def test_never_charges_above_the_bound(self, books: Books) -> None:
        budget = await books.budget(1000)
        held = await books.reserve(300)
        await books.ledger.settle(held, 400)
        await books.record(held)
        assert (held.settle["cost"], (await books.state(budget)).spent) == (300, 300)

    @on_a_loop
    async def test_what_is_released_is_free_at_once(self, books: Books) -> None:
        budget = await books.budget(1000)
        held = await books.reserve(900)
        await books.ledger.release(held)
        await books.ledger.settle(held, 900)
        await books.record(held)
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (0, 0)


class TestWindows:
    @on_a_loop
    async def test_begin_anew_with_the_hour(self, books: Books) -> None:
        budget = await books.budget(1000, window=Window.HOUR)
        await books.reserve(1000)
        books.clock.at += timedelta(minutes=29, seconds=59)
        with pytest.raises(Failure):
            await books.reserve(1, seconds=3600)
        books.clock.at += timedelta(seconds=1)
        await books.reserve(1000)
        assert (await books.state(budget)).reserved == 1000

    @on_a_loop
    async def test_a_call_is_charged_to_the_one_it_was_made_in(self, books: Books) -> None:
        budget = await books.budget(1000, window=Window.HOUR)
        held = await books.reserve(1000, seconds=3600)
        books.clock.at += timedelta(minutes=30)
        await books.reserve(400, seconds=3600)
        await books.ledger.settle(held, 900)
        await books.record(held)
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (0, 400)

    @on_a_loop
    async def test_tell_when_they_end(self, books: Books) -> None:
        ends = [(await books.state(await books.budget(1, window=window))).resets_at for window in Window]
        assert [each.isoformat() if each else None for each in ends] == [
            "2026-11-20T11:00:00+00:00",
            "2026-11-21T00:00:00+00:00",
            "2026-12-01T00:00:00+00:00",
            None,
        ]


class TestCallersWhoChanged:
    @on_a_loop
    async def test_a_changed_budget_bites_on_the_next_call(self, books: Books) -> None:
        other = books.another()
        await other.reserve(500)  # it has seen an account without a budget
        budget = await books.budget(1000)
        await other.reserve(600)
        await books.control.change(budget.id, 700, actor="test", now=books.clock.at)
        with pytest.raises(Failure):
            await other.reserve(200)
        await books.control.change(budget.id, 5000, actor="test", now=books.clock.at)
        await other.reserve(4400)

    @on_a_loop
    async def test_a_removed_budget_bounds_nothing_any_more(self, books: Books) -> None:
        other = books.another()
        budget = await books.budget(100)
        held = await other.reserve(100)
        await books.control.remove(budget.id, actor="test")
        await other.reserve(10**9)
        again = await books.budget(100)
        await other.ledger.settle(held, 70)
        await books.record(held)
        assert (await books.state(again)).spent == 0

    @on_a_loop
    async def test_a_cap_below_what_is_spent_lets_nothing_through(self, books: Books) -> None:
        budget = await books.budget(1000)
        held = await books.reserve(800)
        await books.control.change(budget.id, 500, actor="test", now=books.clock.at)
        with pytest.raises(Failure) as refused:
            await books.reserve(1)
        assert refused.value.details["affordable"] == 0
        await books.ledger.settle(held, 450)
        await books.record(held)
        await books.reserve(50)
        state = await books.state(budget)
        assert (state.spent, state.reserved, state.remaining) == (450, 50, 0)


class TestApart:
    @on_a_loop
    async def test_a_tasks_budget_bounds_it_whoever_calls(self, books: Books) -> None:
        budget = await books.budget(1000, Scope.TASK, f"task_{books.word}")
        payer = replace(books.payer, task=f"task_{books.word}")
        held = await books.reserve(900, payer=payer)
        with pytest.raises(Failure) as refused:
            await books.another().reserve(101, payer=Payer("else", f"user#else-{books.word}", task=payer.task))
        assert (refused.value.details["scope"], refused.value.details["affordable"]) == ("task", 100)
        await books.reserve(5000)  # not for the task
        await books.ledger.settle(held, 10)
        await books.record(held)
        state = await books.state(budget)
        assert (state.spent, state.reserved) == (10, 0)

    @on_a_loop
    async def test_a_principals_budget_bounds_all_its_keys(self, books: Books) -> None:
        budget = await books.budget(1000, Scope.PRINCIPAL, books.payer.principal)
        await books.reserve(600)
        with pytest.raises(Failure) as refused:
            await books.reserve(600, payer=replace(books.payer, account=f"key#other-{books.word}"))
        assert refused.value.details["scope"] == "principal"
        assert (await books.state(budget)).reserved == 600

    @on_a_loop
    async def test_all_or_nothing(self, books: Books) -> None:
        own = await books.budget(1000)
        await books.budget(10, Scope.SESSION, f"s-{books.word}")
        with pytest.raises(Failure):
            await books.reserve(100, payer=replace(books.payer, session=f"s-{books.word}"))
        state = await books.state(own)
        assert (state.spent, state.reserved) == (0, 0)
        assert not (await books.purse(Place("accounts", books.payer.account))).open
