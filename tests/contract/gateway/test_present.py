"""The providers' health, in memory and over the table: errors in a row, cooldowns, recovery."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.gateway import present
from quintet.gateway.catalogue import reading
from quintet.gateway.catalogue.store import GenerationItem
from quintet.gateway.present import Health, Learned, Measured, State
from quintet.store.ids import new_id
from quintet.store.transactions import write_together
from tests.fakes.gateway_core import FakeHealths

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Book:
    """Either, asked without a loop."""

    def __init__(self, healths: Any) -> None:
        self._healths = healths

    def failed(self, provider: str, at: datetime = NOW) -> Health:
        health: Health = asyncio.run(self._healths.failed(provider, "server: broken", at))
        return health

    def limited(self, provider: str, seconds: float | None) -> Health:
        health: Health = asyncio.run(self._healths.limited(provider, "rate_limited", seconds, NOW))
        return health

    def recovered(self, provider: str) -> None:
        asyncio.run(self._healths.recovered(provider))

    def known(self, provider: str) -> Health:
        if isinstance(self._healths, FakeHealths):
            return self._healths.health.get(provider, Health())
        return asyncio.run(present.read()).of(provider)


@pytest.fixture(params=["memory", "table"])
def book(request: pytest.FixtureRequest) -> Iterator[Book]:
    if request.param == "table":
        request.getfixturevalue("quiet_tables")
        yield Book(present)
    else:
        yield Book(FakeHealths())


@pytest.fixture
def provider() -> str:
    return new_id("provider", NOW)


def test_two_errors_in_a_row_degrade_and_five_take_out_for_a_while(book: Book, provider: str) -> None:
    states = [book.failed(provider).state for _ in range(5)]
    assert states == [State.HEALTHY, State.DEGRADED, State.DEGRADED, State.DEGRADED, State.DOWN]
    known = book.known(provider)
    assert (known.errors, known.cooling(NOW), known.last_error) == (5, 30.0, "server: broken")
    assert known.cooling(NOW + timedelta(seconds=31)) == 0


def test_another_error_after_the_cooldown_takes_out_again_at_once(book: Book, provider: str) -> None:
    for _ in range(5):
        book.failed(provider)
    later = NOW + timedelta(minutes=1)
    assert book.failed(provider, later).cooling(later) == 30.0


def test_an_answer_makes_well(book: Book, provider: str) -> None:
    for _ in range(5):
        book.failed(provider)
    book.recovered(provider)
    known = book.known(provider)
    assert (known.state, known.cooling(NOW)) == (State.HEALTHY, 0)
    assert book.failed(provider).errors == 1


@pytest.mark.parametrize(("seconds", "cooling"), [(7.0, 7.0), (None, 30.0), (86_400.0, 600.0), (-5.0, 0.0)])
def test_who_asks_for_peace_gets_it_within_reason_and_is_not_ill(
    book: Book, provider: str, seconds: float | None, cooling: float
) -> None:
    health = book.limited(provider, seconds)
    assert (health.state, health.limited, health.cooling(NOW)) == (State.HEALTHY, True, cooling)
    assert book.known(provider).cooling(NOW) == cooling


@pytest.mark.usefixtures("quiet_tables")
def test_what_was_learned_comes_back() -> None:
    learned = Learned({"gpt-4o": Measured(812.5, 0.25)}, {"gpt-4o": {"small": (2.5, 1.5)}})
    asyncio.run(present.learn(learned))
    assert asyncio.run(present.read()).learned == learned


@pytest.mark.usefixtures("quiet_tables")
def test_every_edit_of_the_catalogue_grows_the_generation() -> None:
    before = asyncio.run(present.read()).generation
    write_together([GenerationItem.grown()])
    assert asyncio.run(present.read()).generation == before + 1
    assert asyncio.run(reading.read(before + 1)).generation == before + 1
