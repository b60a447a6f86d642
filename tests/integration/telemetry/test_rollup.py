"""The rollup function: its handler over ten thousand records twice, and as deployed, behind the log's own stream."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from quintet.events import store as log
from quintet.events.model import GATEWAY
from quintet.gateway import present
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import SystemClock
from quintet.store.items import to_item
from quintet.telemetry.rules import BANDIT, CALLS, ENDPOINTS, FAILURES, GROUPS
from quintet.telemetry.series import Series
from quintet.telemetry.store import rewards
from quintet.telemetry.store.books import totals
from tests.conftest import Stack
from tests.gateway import Context
from tests.loops import on_a_loop
from tests.records import call, many, record
from tests.unit.telemetry.test_rollup import brute

FAMILIES = (CALLS, GROUPS, ENDPOINTS, FAILURES, BANDIT)


def batch(records: Iterable[Any]) -> dict[str, Any]:
    """What a stream tells of new records."""
    return {"Records": [{"eventName": "INSERT", "dynamodb": _image(each)} for each in records]}


def _image(told: Any) -> dict[str, Any]:
    item = to_item(told)
    return {"Keys": {"record_id": item.get("record_id")}, "NewImage": item}


async def found() -> dict[Series, dict[str, int]]:
    each = await asyncio.gather(*(totals(family) for family in FAMILIES))
    return {series: dict(point.amounts) for family in each for series, point in family.items()}


@pytest.mark.usefixtures("quiet_tables")
def test_ten_thousand_records_told_twice_count_as_the_log_itself_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from rollup.app import handler

    async def nothing(_: object) -> None: ...

    monkeypatch.setattr(log, "append", lambda _: [])  # the live events and the rewards have tests of their own
    monkeypatch.setattr(rewards, "note", nothing)
    lot = many(10_000, since=SystemClock().now() - timedelta(hours=1), minutes=20)
    for each in lot:  # series of this test alone
        each["group"], each["route"] = f"twice-{each['group']}", f"/twice{each['route']}"
        for one in each.get("facts", {}).get("calls", ()):
            one["model"] = f"twice-{one['model']}"
    lot.sort(key=lambda each: str(each["record_id"]))
    counted = [
        sum(handler(batch(lot[start : start + size]), Context())["counted"] for start in range(0, len(lot), size))
        for size in (500, 700)
    ]
    assert counted == [10_000, 0]
    expected = {series: sums for series, sums in brute(lot).items() if series.family in FAMILIES}
    sums = asyncio.run(found())
    assert {series: sums.get(series) for series in expected} == expected


@pytest.mark.usefixtures("quiet_tables")
def test_a_record_that_was_put_back_from_a_restored_table_is_neither_counted_nor_told_again() -> None:
    from rollup.app import handler

    old = record(call(), at=SystemClock().now() - timedelta(days=3))
    told = handler(batch([old]), Context())
    assert (told["counted"], told["told"]) == (0, 0)


@pytest.mark.usefixtures("quiet_tables")
def test_a_record_that_makes_no_sense_holds_nobody_up() -> None:
    from rollup.app import handler

    spoilt = [record(call(cost="a lot")), record(call(latency_ms="long")), record(at_all="x", status="200 OK")]
    good = record(at=SystemClock().now())
    assert handler(batch([{"record_id": "nothing"}, *spoilt, good]), Context()) == {
        "settled": 0,
        "counted": 1,
        "told": 0,
    }


@pytest.mark.usefixtures("function_environment")
@on_a_loop
async def test_a_record_is_counted_rewarded_and_told_of_within_seconds(stack: Stack) -> None:
    now = SystemClock().now()
    since = log.head(GATEWAY).seq
    model = f"live-{now.timestamp()}"
    attempts = [{"model": "gpt-4o", "provider": "openai", "failure": "timeout", "latency_ms": 3.0}]
    calls = [call(model, "anthropic", at=now, attempts=attempts), call(model, "anthropic", at=now, status="error")]
    told = record(*calls, at=now)
    await wire.call("PutItem", {"TableName": settings().table("requests"), "Item": to_item(told)})
    types: list[str] = []
    while len(types) < 3:  # the test ends after a while
        await asyncio.sleep(0.05)
        entries = log.read(GATEWAY, since, 1000).entries
        types = [each.event.type for each in entries if each.event.data["request_id"] == told["request_id"]]
    assert types == ["escalation", "route_success", "route_error"]
    point = (await totals(CALLS))[Series.of(CALLS, model=model, provider="anthropic")]
    assert (point["n"], point["errors"], point["cost"]) == (2, 1, 1_800_000)
    kept = await rewards.of_record(told)
    assert [(each.call_id, each.reward, each.feedback) for each in kept] == [
        (each["call_id"], 0.9, None) for each in calls
    ]


@pytest.mark.usefixtures("function_environment")
@on_a_loop
async def test_a_provider_that_falls_ill_is_told_of(stack: Stack) -> None:
    now = SystemClock().now()
    since, provider = log.head(GATEWAY).seq, f"ill-{now.timestamp()}"
    for _ in range(present.DOWN_AFTER):
        await present.failed(provider, "it broke", now)
    await present.recovered(provider)
    changes: list[Any] = []
    while len(changes) < 3:
        await asyncio.sleep(0.05)
        entries = log.read(GATEWAY, since, 1000).entries
        changes = [each.event.data for each in entries if each.event.data.get("provider_id") == provider]
    assert [(each["from"], each["to"]) for each in changes] == [
        ("healthy", "degraded"),
        ("degraded", "down"),
        ("down", "healthy"),
    ]
    assert changes[1]["last_error"] == "it broke"
