"""The log by time: its numbers say in which order events were numbered, and that is nearly the order of their times.

An event whose stream record was lost is numbered late, and clocks of instances differ.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from quintet.events.model import Entry, Head
from quintet.events.store import Reading

_PAGE = 200
_STRAY = 20  # entries in a row that may have any time


class Log(Protocol):
    def head(self, topic: str, /) -> Head: ...

    def read(self, topic: str, after: int, limit: int, /) -> Reading: ...


def stretch(log: Log, topic: str, since: datetime, until: datetime) -> Iterator[Entry]:
    """All entries of that time, `until` itself left out, and others among and around them."""
    head = log.head(topic).seq

    def late(seq: int) -> bool:
        return any(entry.event.at >= since for entry in log.read(topic, seq - 1, _STRAY).entries)

    after = max(0, bisect_left(range(1, head + 1), True, key=late) - _STRAY)
    beyond = 0
    while after < head and beyond < _PAGE:
        entries = log.read(topic, after, _PAGE).entries
        if not entries:
            return
        for entry in entries:
            yield entry
            beyond = beyond + 1 if entry.event.at >= until else 0
        after = entries[-1].seq
