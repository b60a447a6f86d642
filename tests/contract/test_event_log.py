"""The event log, the fake and the real one: exact numbers, told once, nothing lost without a word."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from quintet.events import store
from quintet.events.model import GENESIS, Entry, Event, Head, first_broken
from quintet.store.ids import new_id
from quintet.store.transactions import Unmet, write_together
from tests.fakes.events import FakeEventLog

AT = datetime(2026, 11, 20, 10, 30, 0, 123000, tzinfo=UTC)


class Log(Protocol):
    def tell(self, event: Event) -> None: ...
    def number(self, events: Sequence[Event]) -> list[Entry]: ...
    def append(self, events: Sequence[Event]) -> list[Entry]: ...
    def head(self, topic: str) -> Head: ...
    def read(self, topic: str, after: int, limit: int = 100) -> store.Reading: ...
    def forget(self, topic: str, up_to: int) -> None: ...


class TableLog:
    """The real store, with what only tests do: expiry at once instead of within days."""

    def tell(self, event: Event) -> None:
        write_together([store.outbox(event)])

    def number(self, events: Sequence[Event]) -> list[Entry]:
        return store.number(events)

    def append(self, events: Sequence[Event]) -> list[Entry]:
        return store.append(events)

    def head(self, topic: str) -> Head:
        return store.head(topic)

    def read(self, topic: str, after: int, limit: int = 100) -> store.Reading:
        return store.read(topic, after, limit)

    def forget(self, topic: str, up_to: int) -> None:
        for entry in store.read(topic, 0, up_to).entries:
            for item in store.EventItem.query(f"log#{topic}#{entry.seq // 1000}"):
                if item.seq == entry.seq:
                    item.delete()


@pytest.fixture(params=["fake", "table"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    if request.param == "fake":
        yield FakeEventLog()
    else:
        request.getfixturevalue("quiet_tables")
        yield TableLog()


@pytest.fixture
def topic() -> str:
    return new_id("topic", datetime.now(UTC))


@pytest.fixture
def event(topic: str) -> Callable[[int], Event]:
    def make(number: int) -> Event:
        return Event(f"{topic}-{number}", topic, "task.progress", "task_1", AT, {"n": number}, "read_tasks", "user_1")

    return make


def test_an_event_from_the_outbox_is_read_back_as_it_was_told(
    log: Log, topic: str, event: Callable[[int], Event]
) -> None:
    log.tell(event(1))
    log.number([event(1)])
    reading = log.read(topic, 0)
    assert [entry.event for entry in reading.entries] == [event(1)]
    assert (reading.head, reading.lost) == (1, False)


def test_numbering_the_same_events_again_changes_nothing(log: Log, topic: str, event: Callable[[int], Event]) -> None:
    events = [event(number) for number in range(3)]
    for each in events:
        log.tell(each)
    assert [entry.seq for entry in log.number(events[:2])] == [1, 2]
    assert [entry.seq for entry in log.number([*events, events[0]])] == [3]
    assert log.number(events) == []
    assert [entry.event.data["n"] for entry in log.read(topic, 0).entries] == [0, 1, 2]


def test_an_event_that_was_never_told_gets_no_number(log: Log, topic: str, event: Callable[[int], Event]) -> None:
    assert log.number([event(1)]) == []
    assert log.head(topic) == Head(topic)


def test_an_appended_fact_has_one_entry_however_often_it_is_told(
    log: Log, topic: str, event: Callable[[int], Event]
) -> None:
    log.append([event(1), event(2)])
    log.append([event(2), event(3)])
    assert [entry.event.data["n"] for entry in log.read(topic, 0).entries] == [1, 2, 3]


def test_more_events_than_one_transaction_takes_keep_their_order(
    log: Log, topic: str, event: Callable[[int], Event]
) -> None:
    log.append([event(number) for number in range(95)])
    reading = log.read(topic, 0, limit=200)
    assert [entry.event.data["n"] for entry in reading.entries] == list(range(95))
    assert first_broken(reading.entries, GENESIS) is None


def test_reads_page_by_page_from_any_number_on(log: Log, topic: str, event: Callable[[int], Event]) -> None:
    log.append([event(number) for number in range(10)])
    assert [entry.seq for entry in log.read(topic, 4, limit=3).entries] == [5, 6, 7]
    assert log.read(topic, 10).entries == []
    assert not log.read(topic, 10).lost


def test_says_when_entries_that_a_reader_missed_are_gone(log: Log, topic: str, event: Callable[[int], Event]) -> None:
    log.append([event(number) for number in range(6)])
    log.forget(topic, 3)
    assert log.read(topic, 3) == store.Reading(log.read(topic, 3).entries, head=6, lost=False)
    missed = log.read(topic, 1)
    assert missed.lost
    assert [entry.seq for entry in missed.entries] == [4, 5, 6]


def test_says_when_a_reader_claims_numbers_that_were_never_given(log: Log, topic: str) -> None:
    assert log.read(topic, 7).lost


@pytest.mark.usefixtures("quiet_tables")
def test_writers_at_the_same_moment_leave_one_unbroken_log(topic: str, event: Callable[[int], Event]) -> None:
    start = threading.Barrier(4)

    def write(first: int) -> None:
        start.wait()
        for number in range(first, first + 10):
            store.append([event(number)])

    writers = [threading.Thread(target=write, args=(first,)) for first in range(0, 40, 10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    reading = store.read(topic, 0)
    assert [entry.seq for entry in reading.entries] == list(range(1, 41))
    assert sorted(entry.event.data["n"] for entry in reading.entries) == list(range(40))
    assert first_broken(reading.entries, GENESIS) is None


@pytest.mark.usefixtures("quiet_tables")
def test_an_event_is_told_only_if_its_change_happens(event: Callable[[int], Event]) -> None:
    change = store.HeadItem(f"head#{event(1).topic}", "head", seq=1, hash=GENESIS)
    unmet = store.HeadItem.pk.exists()
    with pytest.raises(Unmet):
        write_together([lambda tx: tx.save(change, condition=unmet), store.outbox(event(1))])
    assert store.number([event(1)]) == []


@pytest.mark.usefixtures("quiet_tables")
def test_an_event_whose_stream_record_was_lost_is_found_waiting(event: Callable[[int], Event]) -> None:
    lost = event(1)
    write_together([store.outbox(lost)])
    found = [each for shard in range(store.OUTBOX_SHARDS) for each in store.waiting(shard, AT + timedelta(seconds=1))]
    assert lost in found
    assert lost not in [each for shard in range(store.OUTBOX_SHARDS) for each in store.waiting(shard, AT)]
