"""The books, the fake and the real table: what was counted once is counted once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from quintet.store import wire
from quintet.store.clock import SystemClock
from quintet.telemetry.rollup import Books, Place, Receipt, Target, mark, roll_up
from quintet.telemetry.rules import CALLS, GROUPS
from quintet.telemetry.series import Point, Series, Step
from quintet.telemetry.store import books as table
from tests.fakes.telemetry import FakeBooks
from tests.loops import on_a_loop
from tests.records import call as model_call
from tests.records import many, record
from tests.unit.telemetry.test_rollup import brute


class Readable(Books, Protocol):
    async def points(self, series: Series, step: Step, start: datetime, end: datetime) -> list[Point]: ...
    async def sums(self, family: str) -> dict[Series, dict[str, int]]: ...


class TableBooks(table.TableBooks):
    async def points(self, series: Series, step: Step, start: datetime, end: datetime) -> list[Point]:
        return await table.points(series, step, start, end)

    async def sums(self, family: str) -> dict[Series, dict[str, int]]:
        return {series: dict(point.amounts) for series, point in (await table.totals(family)).items()}


class ReadableFake(FakeBooks):
    async def sums(self, family: str) -> dict[Series, dict[str, int]]:
        return {series: dict(point.amounts) for series, point in (await self.totals(family)).items()}


@pytest.fixture(params=["fake", "table"])
def books(request: pytest.FixtureRequest) -> Iterator[Readable]:
    if request.param == "fake":
        yield ReadableFake()
    else:
        request.getfixturevalue("quiet_tables")
        yield TableBooks()


def now() -> datetime:
    return SystemClock().now()


@pytest.fixture
def model() -> str:
    """A model of this test alone."""
    return f"model-{now().timestamp()}"


@on_a_loop
async def test_points_add_up_and_are_read_in_the_order_of_time(books: Readable, model: str) -> None:
    at = now().replace(second=0, microsecond=0) - timedelta(hours=3)
    moments = [at, at + timedelta(seconds=59), at + timedelta(minutes=1)]
    await roll_up([record(model_call(model, at=each), at=each) for each in moments], books, now())
    series = Series.of(CALLS, model=model, provider="openai")
    found = await books.points(series, Step.MINUTE, at, at + timedelta(minutes=5))
    assert [(point.at, point["n"]) for point in found] == [(at, 2), (moments[2], 1)]
    assert found[0]["latency"] == 500_000
    assert await books.points(series, Step.MINUTE, at + timedelta(minutes=1), at + timedelta(minutes=1)) == found[1:]
    days = await books.points(series, Step.DAY, at, at + timedelta(days=1))
    assert sum(point["n"] for point in days) == 3


@on_a_loop
async def test_a_receipt_of_the_same_number_is_refused_with_all_that_came_with_it(books: Readable, model: str) -> None:
    place = Place(now().replace(second=0, microsecond=0), f"{model}")
    target = Target(Series.of(CALLS, model=model, provider="p"), Step.MINUTE, Step.MINUTE.place(place.minute))
    receipt = Receipt(place, 1, (mark("one"),))
    assert await books.enter([receipt], {target: {"n": 1}}, now())
    assert not await books.enter([receipt], {target: {"n": 1}}, now())
    assert (await books.receipts(place)).last == 1
    assert (await books.receipts(place)).marks == {mark("one")}
    (point,) = await books.points(target.series, Step.MINUTE, place.minute, place.minute)
    assert point["n"] == 1


@on_a_loop
async def test_labels_may_hold_anything(books: Readable) -> None:
    odd = f"vendor/ä model=#1&x~{now().timestamp()}"
    await roll_up([record(model_call(odd, at=now()), at=now())], books, now())
    assert (await books.sums(CALLS))[Series.of(CALLS, model=odd, provider="openai")]["n"] == 1


@on_a_loop
async def test_a_lot_told_twice_counts_once(books: Readable) -> None:
    lot = many(300, since=now() - timedelta(hours=2), minutes=30)
    for each in lot:
        each["group"] += f"-{now():%H%M%S%f}"
    for _ in range(2):
        for start in range(0, len(lot), 100):
            await roll_up(lot[start : start + 100], books, now())
    expected = {series: sums for series, sums in brute(lot).items() if series.family == GROUPS}
    found = await books.sums(GROUPS)
    assert {series: found[series] for series in expected} == expected


@pytest.mark.usefixtures("quiet_tables")
@on_a_loop
async def test_who_meets_another_writer_goes_to_another_lane(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """A point's lanes are added up when they are read."""
    at = now()
    series = Series.of(CALLS, model=model, provider="openai")
    monkeypatch.setattr(table.TableBooks, "_lane", 0)
    await roll_up([record(model_call(model, at=at), at=at)], TableBooks(), at)
    monkeypatch.setattr(table.TableBooks, "_lane", 3)
    await roll_up([record(model_call(model, at=at), at=at)], TableBooks(), at)
    (point,) = await table.points(series, Step.MINUTE, at, at)
    assert point["n"] == 2
    assert (await table.totals(CALLS))[series]["n"] == 2

    real = wire.call

    async def crowded(operation: str, request: Any, **options: Any) -> Any:
        with pytest.raises(wire.WireError):
            await real(operation, {**request, "TransactItems": []}, **options)
        return await real(operation, request, **options)

    monkeypatch.setattr(wire, "call", crowded)
    place = Place(datetime(2026, 1, 1, tzinfo=UTC), model)
    assert await TableBooks().enter([Receipt(place, 1, (mark("one"),))], {}, at)
    assert table.TableBooks._lane == 4
