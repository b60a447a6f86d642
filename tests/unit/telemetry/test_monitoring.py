"""Monitoring's figures, held against a brute-force computation over the records and events themselves."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.store.ids import new_id
from quintet.telemetry import monitoring
from quintet.telemetry.rollup import roll_up
from quintet.telemetry.rules import record_of_event
from tests.fakes.telemetry import FakeBooks

NOW = datetime(2026, 11, 20, 10, 37, 12, tzinfo=UTC)
PREMIUM = monitoring.Prices(15_000, 75_000)


def call(model: str, cost: int, at: datetime, role: str = "implementer", user: str = "ada") -> dict[str, Any]:
    """A step of a task, as the workflow records it."""
    told = {
        "call_id": new_id("call", at),
        "model": model,
        "provider": "p",
        "status": "ok",
        "cost": cost,
        "input_tokens": 100,
        "output_tokens": 10,
        "latency_ms": cost / 1000,
    }
    task = {"id": "task_1", "role": role, "type": "implementation", "user": user}
    facts = {"calls": [told], "task": task}
    return {"record_id": new_id("rec", at), "method": "WORK", "status": 200, "group": "workflow", "facts": facts}


def event(type: str, at: datetime, **data: Any) -> Mapping[str, Any]:  # noqa: A002
    told = {"assignee_role": "implementer", "type": "implementation", "model_used": "m", **data}
    return record_of_event(new_id("evt", at), type, told)


@pytest.fixture
def books() -> FakeBooks:
    return FakeBooks()


def count(books: FakeBooks, records: list[Any]) -> None:
    asyncio.run(roll_up(records, books, NOW))


def metrics(books: FakeBooks, period: str = "24h", granularity: str = "1h") -> dict[str, Any]:
    length, step = monitoring.PERIODS[period], monitoring.GRANULARITIES[granularity]
    starts = monitoring.steps_of(length, step, NOW)
    return asyncio.run(monitoring.metrics(books, monitoring.DOCUMENTED, starts, step, NOW))


def test_where_nothing_happened_nothing_is_said(books: FakeBooks) -> None:
    found = metrics(books)
    assert set(found) == set(monitoring.DOCUMENTED)
    for told in found.values():
        assert told["data"] == [None] * 24
        assert told["average"] is None


@pytest.mark.parametrize(("period", "granularity"), [("1h", "1m"), ("1h", "5m"), ("24h", "1h"), ("24h", "5m")])
def test_series_equal_a_count_by_hand(books: FakeBooks, period: str, granularity: str) -> None:
    luck = random.Random(7)
    step, length = monitoring.GRANULARITIES[granularity], monitoring.PERIODS[period]
    records: list[Any] = []
    by_hand: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    starts = monitoring.steps_of(length, step, NOW)
    for _ in range(300):
        at = NOW - luck.random() * min(length, timedelta(hours=40))
        name = luck.choice(["task.started", "task.completed", "task.failed", "escalation.requested"])
        cost = luck.randrange(1_000_000)
        records.append(event(name, at, cost_usd=cost / 1e9))
        index = (at - starts[0]) // step
        if 0 <= index < len(starts):
            by_hand[index][name] += 1
            by_hand[index]["cost"] += cost if name in {"task.completed", "task.failed"} else 0
    count(books, records)
    count(books, luck.sample(records, len(records)))  # told again
    found = metrics(books, period, granularity)
    for index in range(len(starts)):
        one = by_hand[index]
        ended = one["task.completed"] + one["task.failed"]
        rate = round(100 * one["task.completed"] / ended, 2) if ended else None
        assert found["task_completion_rate"]["data"][index] == rate
        assert found["cost_per_task"]["data"][index] == (round(one["cost"] / 1e9 / ended, 6) if ended else None)
        escalated = round(100 * one["escalation.requested"] / one["task.started"], 2) if one["task.started"] else None
        assert found["escalation_rate"]["data"][index] == escalated


def test_costs_are_by_model_by_role_and_by_user_and_add_up(books: FakeBooks) -> None:
    at = NOW - timedelta(hours=3)
    records = [
        call("glm-4.5", 300_000, at),
        call("glm-4.5", 100_000, at, role="critic"),
        call("claude-4.1-opus", 600_000, at, role="architect", user="bob"),
        event("task.completed", at, model_used="glm-4.5"),
        event("task.failed", at, model_used="claude-4.1-opus", assignee_role="architect"),
        event("task.cancelled", at),
    ]
    count(books, records)
    found = asyncio.run(monitoring.costs(books, timedelta(days=7), None, PREMIUM, NOW))
    assert found["total_cost"] == 0.001
    parts = found["cost_breakdown"]
    assert parts["by_model"]["glm-4.5"] == {"cost": 0.0004, "percentage": 40.0, "tasks": 1}
    assert parts["by_model"]["claude-4.1-opus"] == {"cost": 0.0006, "percentage": 60.0, "tasks": 1}
    assert {role: row["cost"] for role, row in parts["by_role"].items()} == {
        "architect": 0.0006,
        "implementer": 0.0003,
        "critic": 0.0001,
    }
    premium = (300 * 15_000 + 30 * 75_000) / 1e9
    saved = premium - 0.001
    assert parts["savings"] == {
        "vs_premium_only": pytest.approx(saved),
        "percentage": round(100 * saved / (saved + 0.001), 1),
        "roi": round(100 * saved / 0.001, 1),
    }
    by_user = asyncio.run(monitoring.costs(books, timedelta(days=1), "user", PREMIUM, NOW))["cost_breakdown"]
    assert {name: row["cost"] for name, row in by_user["by_user"].items()} == {"bob": 0.0006, "ada": 0.0004}


def test_the_platforms_own_cost_stands_beside_that_of_models(books: FakeBooks) -> None:
    at = NOW - timedelta(hours=3)
    record = {**call("glm-4.5", 300_000, at), "group": "broker", "method": "POST", "status": 200}
    count(books, [{**record, "platform_cost": 12_500}])
    found = asyncio.run(monitoring.costs(books, timedelta(days=7), None, None, NOW))
    assert (found["total_cost"], found["platform_cost_usd"]) == (0.0003, 0.0000125)


def test_what_work_that_is_no_request_costs_is_in_it(books: FakeBooks) -> None:
    at = NOW - timedelta(hours=3)
    asked = {**call("glm-4.5", 300_000, at), "group": "broker", "method": "POST", "status": 200}
    unasked = {**call("glm-4.5", 0, at), "facts": {}, "group": "deliver", "method": "WORK", "status": 200}
    left = {**call("glm-4.5", 0, at), "facts": {}, "group": "ask", "method": "POST"}  # before it was answered
    for record in (asked, unasked, left):
        record["record_id"] = new_id("rec", at)
    count(books, [{**record, "platform_cost": 12_500} for record in (asked, unasked, left)])
    found = asyncio.run(monitoring.costs(books, timedelta(days=7), None, None, NOW))
    assert found["platform_cost_usd"] == pytest.approx(3 * 0.0000125)


def test_nothing_was_spent_and_nothing_saved(books: FakeBooks) -> None:
    found = asyncio.run(monitoring.costs(books, timedelta(days=7), None, None, NOW))
    assert found["total_cost"] == 0
    assert found["cost_breakdown"]["by_model"] == {}
    assert found["cost_breakdown"]["savings"] == {"vs_premium_only": None, "percentage": None, "roi": None}


def test_steps_end_with_the_running_one() -> None:
    starts = monitoring.steps_of(timedelta(hours=24), timedelta(hours=1), NOW)
    assert (len(starts), starts[-1]) == (24, NOW.replace(minute=0, second=0))
