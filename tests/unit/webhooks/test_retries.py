"""When a delivery is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from quintet.webhooks.retries import AFTER, next_attempt

ASKED = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def test_the_times_are_those_of_the_day() -> None:
    at = [next_attempt(ASKED, tried, ASKED, 0) for tried in range(len(AFTER))]
    hours = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 24]
    assert at == [ASKED, *(ASKED + timedelta(hours=each) for each in hours)]


@pytest.mark.parametrize("luck", [0, 0.3, 1])
def test_a_little_spread_only_delays_and_keeps_the_order(luck: float) -> None:
    at = [next_attempt(ASKED, tried, ASKED, luck) for tried in range(len(AFTER))]
    assert all(each is not None and each >= ASKED + after for each, after in zip(at, AFTER, strict=True))
    assert at == sorted(each for each in at if each is not None)


def test_it_ends_after_the_last() -> None:
    assert next_attempt(ASKED, len(AFTER), ASKED, 0) is None


def test_a_late_attempt_is_followed_by_one_a_little_later() -> None:
    now = ASKED + timedelta(hours=3)
    assert next_attempt(ASKED, 1, now, 0) == now + timedelta(seconds=5)


def test_the_receivers_wish_may_delay_and_not_hasten() -> None:
    assert next_attempt(ASKED, 1, ASKED, 0, timedelta(minutes=10)) == ASKED + timedelta(minutes=10)
    assert next_attempt(ASKED, 2, ASKED, 0, timedelta(seconds=1)) == ASKED + timedelta(minutes=5)
    assert next_attempt(ASKED, 1, ASKED, 0, timedelta(days=90)) == ASKED + timedelta(days=1)
    late = ASKED + timedelta(hours=10)
    assert next_attempt(ASKED, 7, late, 0, timedelta(days=1)) == ASKED + timedelta(days=1)  # no second day
