"""Moments as milliseconds, and as answers tell them."""

from datetime import UTC, datetime, timedelta

import pytest

from quintet.store.clock import from_millis, iso, iso_of, millis


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (datetime(2026, 11, 20, 10, 30, tzinfo=UTC), "2026-11-20T10:30:00Z"),
        (datetime(2026, 11, 20, 10, 30, 0, 120_000, tzinfo=UTC), "2026-11-20T10:30:00.120Z"),
        (datetime(1969, 7, 20, 20, 17, 40, 1_000, tzinfo=UTC), "1969-07-20T20:17:40.001Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_told_alike_whichever_way_it_is_kept(moment: datetime, told: str) -> None:
    assert iso(moment) == iso_of(millis(moment)) == told
    assert from_millis(millis(moment)) == moment


def test_less_than_a_millisecond_is_not_told() -> None:
    moment = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(microseconds=999)
    assert iso(moment) == "2026-11-20T00:00:00Z"
