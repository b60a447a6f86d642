"""A stretch of the log by time, among entries whose times are not in its order."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from quintet.events.model import Event
from quintet.events.times import stretch
from tests.fakes.events import FakeEventLog

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
YEAR = timedelta(days=365)
MANY = 1000


def logged(minutes: Sequence[timedelta]) -> FakeEventLog:
    log = FakeEventLog()
    log.append([Event(f"evt_{n}", "t", "task.created", "s", NOW + at, {}, "") for n, at in enumerate(minutes)])
    return log


def found(log: FakeEventLog, since: int, until: int) -> set[str]:
    begin, end = NOW + timedelta(minutes=since), NOW + timedelta(minutes=until)
    return {entry.event.id for entry in stretch(log, "t", begin, end) if begin <= entry.event.at < end}


@pytest.mark.parametrize(("since", "until"), [(0, 1), (300, 310), (990, 2000), (-5, 2000), (999, 1000)])
def test_a_stretch_has_all_of_its_time(since: int, until: int) -> None:
    log = logged([timedelta(minutes=n) for n in range(MANY)])
    assert found(log, since, until) == {f"evt_{n}" for n in range(max(0, since), min(MANY, until))}


@pytest.mark.parametrize("stray", [-YEAR, YEAR])
@pytest.mark.parametrize("place", [0, 3, 7, 11])
def test_a_few_that_have_another_time_hide_nothing(stray: timedelta, place: int) -> None:
    minutes = [timedelta(minutes=n) if n % 12 != place else stray for n in range(MANY)]
    for since in (0, 499, 500, 501, 980, 995):
        wanted = {f"evt_{n}" for n in range(since, min(MANY, since + 30)) if n % 12 != place}
        assert found(logged(minutes), since, since + 30) == wanted


def test_of_a_long_log_only_what_lies_about_it_is_read() -> None:
    log = logged([timedelta(minutes=n) for n in range(5000)])
    begin = NOW + timedelta(minutes=2500)
    assert len(list(stretch(log, "t", begin, begin + timedelta(minutes=10)))) <= 500


def test_an_empty_log_has_nothing() -> None:
    assert found(FakeEventLog(), 0, 10) == set()
