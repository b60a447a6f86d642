"""The log's chain: numbers without gaps, and tampering that shows."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.events.model import GENESIS, Entry, Event, Head, chain, first_broken

AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def event(number: int) -> Event:
    return Event(f"evt_{number}", "audit", "key.created", f"key_{number}", AT, {"n": number}, "admin", "user_1")


def test_numbers_follow_the_head_without_gaps() -> None:
    entries = chain(Head("audit", 7, "f" * 64), [event(1), event(2)])
    assert [(entry.seq, entry.previous) for entry in entries] == [(8, "f" * 64), (9, entries[0].hash)]


def test_an_untouched_chain_holds() -> None:
    assert first_broken(chain(Head("audit"), [event(n) for n in range(5)]), GENESIS) is None


@pytest.mark.parametrize(
    "tamper",
    [
        lambda entry: replace(entry, event=replace(entry.event, data={"n": 99})),
        lambda entry: replace(entry, event=replace(entry.event, actor="someone else")),
        lambda entry: replace(entry, event=replace(entry.event, type="key.revoked")),
        lambda entry: replace(entry, seq=entry.seq + 1),
    ],
)
def test_a_changed_entry_is_named(tamper: "object") -> None:
    entries = chain(Head("audit"), [event(n) for n in range(5)])
    assert callable(tamper)
    entries[2] = tamper(entries[2])
    broken = first_broken(entries, GENESIS)
    assert broken is entries[2]


def test_an_entry_that_was_resealed_after_a_change_breaks_the_next_one() -> None:
    entries = chain(Head("audit"), [event(n) for n in range(5)])
    entries[2] = replace(entries[2], event=event(99)).sealed()
    assert first_broken(entries, GENESIS) is entries[3]


@given(st.lists(st.integers(), min_size=2, max_size=20, unique=True), st.data())
def test_a_removed_entry_is_noticed(numbers: list[int], data: st.DataObject) -> None:
    entries: list[Entry] = chain(Head("audit"), [event(n) for n in numbers])
    removed = data.draw(st.integers(0, len(entries) - 2))
    del entries[removed]
    assert first_broken(entries, GENESIS) is entries[removed]
