"""The rollup against a log that is told in pieces, twice, out of step, and with answers that get lost."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.telemetry.histogram import class_of
from quintet.telemetry.rollup import roll_up
from quintet.telemetry.rules import BANDIT, CALLS, ENDPOINTS, FAILURES, GROUPS, measures_of
from quintet.telemetry.series import Series, Step, added
from tests.fakes.telemetry import FakeBooks
from tests.records import AT, call, many, record

NOW = AT + timedelta(hours=2)
LOT = many(60, minutes=3)


def counted(books: FakeBooks, records: Iterable[Any]) -> int:
    return asyncio.run(roll_up(records, books, NOW))


def brute(records: Iterable[Any]) -> dict[Series, dict[str, int]]:
    """What the log itself says."""
    sums: dict[Series, dict[str, int]] = {}
    for each in records:
        for measure in measures_of(each):
            sums[measure.series] = added(sums.get(measure.series, {}), measure.amounts)
    return sums


def totals(books: FakeBooks) -> dict[Series, dict[str, int]]:
    return {series: sums for (series, step, _), sums in books.kept.items() if step is None}


def test_a_call_counts_in_its_model_and_its_request_in_its_group_and_endpoint() -> None:
    books = FakeBooks()
    attempts = [{"model": "claude-opus", "provider": "anthropic", "failure": "rate_limited", "latency_ms": 3}]
    counted(books, [record(call(attempts=attempts))])
    found = totals(books)
    assert found[Series.of(CALLS, model="gpt-4o", provider="openai")] == {
        "n": 1,
        "cost": 900_000,
        "input": 100,
        "output": 20,
        "latency": 250_000,
        f"latency.{class_of(250_000)}": 1,
        "overhead": 1500,
        f"overhead.{class_of(1500)}": 1,
    }
    assert found[Series.of(FAILURES, model="claude-opus", provider="anthropic", failure="rate_limited")] == {"n": 1}
    assert found[Series.of(BANDIT, model="gpt-4o", bucket="small")] == {"n": 1, "reward": 900_000}
    assert found[Series.of(GROUPS, group="broker")]["s2"] == 1
    assert found[Series.of(ENDPOINTS, endpoint="/v1/chat", status="success")]["n"] == 1


@pytest.mark.parametrize(
    ("status", "word"), [(200, "success"), (401, "auth_failed"), (403, "auth_failed"), (429, "error")]
)
def test_a_refused_caller_is_no_error(status: int, word: str) -> None:
    books = FakeBooks()
    counted(books, [record(status=status)])
    assert totals(books)[Series.of(ENDPOINTS, endpoint="/v1/chat", status=word)]["n"] == 1


def test_what_is_older_than_the_receipts_is_not_counted_again() -> None:
    books = FakeBooks()
    assert counted(books, [record(at=NOW - timedelta(hours=47, minutes=1))]) == 0


def test_a_record_with_more_series_than_a_transaction_takes_is_counted_in_portions() -> None:
    books = FakeBooks()
    large = record(*(call(f"model-{n}") for n in range(200)))
    counted(books, [large])
    counted(books, [large])
    assert totals(books) == brute([large])
    assert books.entries > 1


def test_the_steps_of_a_series_each_have_all_of_it() -> None:
    books = FakeBooks()
    counted(books, LOT)
    for step in Step:
        sums = [sums for (series, at, _), sums in books.kept.items() if at is step and series.family == CALLS]
        assert added(*sums)["n"] == sum(1 for each in LOT if each.get("facts"))


@st.composite
def tellings(draw: st.DrawFn) -> list[list[Any]]:
    """The lot in pieces, in order; a piece may be told again, in other pieces, or with what comes after it."""
    told = []
    position = 0
    while position < len(LOT):
        end = min(len(LOT), position + draw(st.integers(1, 40)))
        start = max(0, position - draw(st.integers(0, 30)))
        told.append(LOT[start:end])
        if draw(st.booleans()):
            middle = (position + end) // 2
            told += [LOT[position:middle], LOT[middle:end]]
        position = end
    return told


@given(tellings(), st.lists(st.sampled_from([None, "lost", "failed"]), max_size=20))
@settings(max_examples=150, deadline=None)
def test_a_log_told_in_any_pieces_counts_once(told: list[list[Any]], faults: list[str | None]) -> None:
    books = FakeBooks(faults=list(faults))
    for batch in told:
        for _ in range(len(faults) + 1):  # a stream tells a batch until it works
            with suppress(ConnectionError):
                counted(books, batch)
                break
    assert totals(books) == brute(LOT)


@given(st.lists(st.lists(st.sampled_from(LOT), max_size=30), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_several_that_count_the_same_records_at_once_count_them_once(batches: list[list[Any]]) -> None:
    books = Racing()

    async def race() -> None:
        await asyncio.gather(*(roll_up(batch, books, NOW) for batch in batches))

    asyncio.run(race())
    assert totals(books) == brute({each["record_id"]: each for batch in batches for each in batch}.values())


class Racing(FakeBooks):
    """Lets the others go on between reading and writing."""

    async def enter(self, receipts: Sequence[Any], additions: Any, now: Any) -> bool:
        await asyncio.sleep(0)
        return await super().enter(receipts, additions, now)
