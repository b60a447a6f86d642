from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.gateway.providers.sse import Event, Events, TooLarge

WIRE = (
    "\ufeff: hello\r\n\r\nevent: ping\rdata: {}\r\rdata:one\ndata: two\n\nid: 7\nretry: 5\n\ndata: Grüße ✓\r\n\r\n"
    "data\n\ndata: [DONE]\n\n"
).encode()
EVENTS = [Event("ping", "{}"), Event("", "one\ntwo"), Event("", "Grüße ✓"), Event("", ""), Event("", "[DONE]")]


def test_reads_every_line_ending_comments_names_and_several_lines() -> None:
    assert Events().feed(WIRE) == EVENTS


@given(st.lists(st.integers(0, len(WIRE)), max_size=12))
def test_pieces_may_end_anywhere(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WIRE)]
    events = Events()
    got = [event for a, b in pairwise(places) for event in events.feed(WIRE[a:b])]
    assert got == EVENTS


def test_a_last_event_without_its_blank_line_is_still_read() -> None:
    events = Events()
    assert events.feed(b"data: [DONE]") == []
    assert events.end() == [Event("", "[DONE]")]
    assert events.end() == []


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: x\n" * 20])
def test_an_event_has_a_largest_size(piece: bytes) -> None:
    with pytest.raises(TooLarge):
        _fed(Events(largest=1000), piece, times=60)


def test_many_small_events_are_no_large_one() -> None:
    events = Events(largest=100)
    assert sum(len(events.feed(b"data: hello\n\n")) for _ in range(1000)) == 1000


def test_damaged_utf8_is_told_as_such() -> None:
    assert Events().feed(b"data: \xff\n\n") == [Event("", "\ufffd")]


def _fed(events: Events, piece: bytes, *, times: int) -> None:
    for _ in range(times):
        events.feed(piece)
