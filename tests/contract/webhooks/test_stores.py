"""Deliveries and gates, in memory and on the tables."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from quintet.webhooks.gate import Gate, admit
from quintet.webhooks.model import Attempt, Delivery, Standing
from quintet.webhooks.store import deliveries, gates
from tests.fakes.webhooks import FakeDeliveries, FakeGates
from tests.loops import on_a_loop

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@pytest.fixture(params=["fake", "table"])
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    if request.param == "fake":
        yield FakeDeliveries(), FakeGates()
    else:
        request.getfixturevalue("quiet_tables")
        yield deliveries, gates


def delivery(endpoint: str = "") -> Delivery:
    return Delivery("dlv_1", endpoint or uuid4().hex, "evt_1", 7, "task.created", '{"n":1}', NOW, NOW, NOW)


@on_a_loop
async def test_a_delivery_is_made_once(stores: tuple[Any, Any]) -> None:
    table, _ = stores
    one = delivery()
    assert await table.add(one)
    assert not await table.add(delivery(one.endpoint_id))
    assert await table.find(one.endpoint_id, one.id) == one
    assert await table.find(one.endpoint_id, "dlv_2") is None


@on_a_loop
async def test_of_two_that_try_one_may_until_its_lease_ends(stores: tuple[Any, Any]) -> None:
    table, _ = stores
    one = delivery()
    await table.add(one)
    assert await table.claim(one, NOW)
    assert not await table.claim(one, NOW + timedelta(seconds=10))
    assert await table.claim(one, NOW + timedelta(minutes=1))
    await table.give_back(one, NOW + timedelta(minutes=2))
    again = await table.find(one.endpoint_id, one.id)
    assert again.next_at == NOW + timedelta(minutes=2)
    assert await table.claim(again, NOW + timedelta(minutes=2))


@on_a_loop
async def test_what_was_attempted_is_kept_and_not_claimed_by_who_did_not_know(stores: tuple[Any, Any]) -> None:
    table, _ = stores
    one = delivery()
    await table.add(one)
    story = (Attempt(NOW, 12, 500, ""), Attempt(NOW, 15_000, None, "timed out"))
    later = NOW + timedelta(minutes=5)
    tried = Delivery(**{**_fields(one), "tried": 2, "attempts": story, "next_at": later})
    await table.record(tried)
    assert await table.find(one.endpoint_id, one.id) == tried
    assert not await table.claim(one, NOW)
    done = Delivery(**{**_fields(tried), "standing": Standing.DELIVERED, "tried": 3})
    await table.record(done)
    assert not await table.claim(done, NOW)
    await table.ask_again(done, later)
    again = await table.find(one.endpoint_id, one.id)
    assert (again.standing, again.tried, again.attempts, again.asked_at) == (Standing.PENDING, 0, story, later)


@on_a_loop
async def test_of_two_that_write_a_gate_the_later_reads_again(stores: tuple[Any, Any]) -> None:
    _, table = stores
    name = uuid4().hex
    fresh = await table.read(name)
    after, wait = admit(fresh, "a", 1_795_000_000_000, 50)
    assert wait == 0
    assert await table.write(name, after)
    assert not await table.write(name, after)
    known = await table.read(name)
    assert (known.sent, dict(known.flying), known.version) == (after.sent, dict(after.flying), 1)
    assert await table.write(name, known)


@on_a_loop
async def test_what_came_to_its_end_is_not_pending_again_by_a_late_hand(stores: tuple[Any, Any]) -> None:
    table, _ = stores
    one = delivery()
    await table.add(one)
    await table.record(Delivery(**{**_fields(one), "standing": Standing.DELIVERED, "tried": 1}))
    await table.record(Delivery(**{**_fields(one), "tried": 1}))
    assert (await table.find(one.endpoint_id, one.id)).standing is Standing.DELIVERED


@on_a_loop
async def test_what_is_being_attempted_is_not_asked_for_again(stores: tuple[Any, Any]) -> None:
    table, _ = stores
    one = delivery()
    await table.add(one)
    assert await table.claim(one, NOW)
    assert not await table.ask_again(one, NOW + timedelta(seconds=10))
    assert await table.ask_again(one, NOW + timedelta(minutes=1))


@on_a_loop
async def test_an_endpoint_that_was_mended_is_trusted_and_its_minute_still_counts(quiet_tables: None) -> None:
    name = uuid4().hex
    await gates.forgive(name)
    assert not (await gates.read(name)).version
    await gates.write(name, Gate(sent=(1, 2), failures=9, closed_until=3, failing_since=1))
    await gates.forgive(name)
    known = await gates.read(name)
    assert (known.sent, known.failures, known.closed_until, known.failing_since) == ((1, 2), 0, 0, 0)


@on_a_loop
async def test_pages_are_newest_first_and_the_overdue_are_found(quiet_tables: None) -> None:
    endpoint = uuid4().hex
    for number in range(5):
        await deliveries.add(Delivery(**{**_fields(delivery(endpoint)), "id": f"dlv_{number}"}))
    first = await deliveries.page(endpoint, 2)
    assert [each.id for each in first.items] == ["dlv_4", "dlv_3"]
    second = await deliveries.page(endpoint, 2, first.after)
    assert [each.id for each in second.items] == ["dlv_2", "dlv_1"]
    done = Delivery(**{**_fields(second.items[0]), "standing": Standing.DELIVERED})
    await deliveries.record(done)
    assert [each.id for each in (await deliveries.page(endpoint, 9, standing=Standing.DELIVERED)).items] == ["dlv_2"]
    found = [
        each
        for shard in range(8)
        async for page in deliveries.overdue(shard, NOW + timedelta(seconds=1), 1000)
        for each in page
    ]
    assert {each[1] for each in found if each[0] == endpoint} == {"dlv_0", "dlv_1", "dlv_3", "dlv_4"}


def _fields(one: Delivery) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Delivery.__slots__}
