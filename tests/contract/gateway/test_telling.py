"""That a budget is exhausted is told in the transaction that marks it: once in a window, whoever finds out."""

import asyncio
import json
import secrets
from datetime import UTC, datetime

import pytest

from quintet.events import store as log
from quintet.events.audit import audited
from quintet.gateway.ledger.budgets import Budgets
from quintet.gateway.ledger.model import Budget, Scope, Window
from quintet.gateway.ledger.refusing import exhausted
from quintet.gateway.ledger.store import budgets, purses
from quintet.gateway.ledger.telling import Telling
from tests.loops import on_a_loop

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
HOUR = Window.HOUR.number(NOW)

pytestmark = pytest.mark.usefixtures("quiet_tables")


async def made() -> Budget:
    control = Budgets(budgets, purses.read, audited, lambda: None)
    budget, _ = await control.put(Scope.KEY, secrets.token_hex(6), Window.HOUR, 1000, actor="test", now=NOW)
    return budget


async def tell(telling: Telling, budget: Budget, window: int = HOUR) -> None:
    await telling(budget, window, exhausted(budget, window, spent=990, affordable=10), NOW)


def told(budget: Budget) -> list[log.EventItem]:
    """Nothing numbers what lies in the outbox of these tables."""
    of_it = (log.EventItem.subject == budget.id) & (log.EventItem.type == "budget.exhausted")
    shards = range(log.OUTBOX_SHARDS)
    return [each for shard in shards for each in log.EventItem.query(f"outbox#{shard:02d}", filter_condition=of_it)]


@on_a_loop
async def test_by_one_of_all_instances_that_find_out() -> None:
    budget = await made()
    await asyncio.gather(*[tell(Telling(budgets.told), budget) for _ in range(4)])
    (event,) = told(budget)
    assert (event.topic, event.needs) == ("platform", "read_monitoring")
    data = json.loads(event.data)
    assert data["budget_id"] == budget.id
    assert (data["scope"], data["subject"], data["affordable"]) == ("key", budget.subject, 10)


@on_a_loop
async def test_again_in_the_next_window_and_not_for_one_that_is_over() -> None:
    budget, telling = await made(), Telling(budgets.told)
    await tell(telling, budget)
    await tell(telling, budget, HOUR + 1)
    await tell(Telling(budgets.told), budget, HOUR)
    assert len(told(budget)) == 2


@on_a_loop
async def test_not_of_a_budget_that_is_gone() -> None:
    budget = await made()
    await Budgets(budgets, purses.read, audited, lambda: None).remove(budget.id, actor="test")
    await tell(Telling(budgets.told), budget)
    assert told(budget) == []
