"""Whether a log is still what was written: every entry's own hash, and each one's place in the chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from quintet.events.model import GENESIS, Entry, Head, digest
from quintet.events.store import Reading

_PAGE = 1000


class Log(Protocol):
    def head(self, topic: str, /) -> Head: ...

    def read(self, topic: str, after: int, limit: int, /) -> Reading: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is the number of the entry that was changed, moved or removed. `verified` is the last one looked at."""

    verified: int
    head: int
    broken: int | None = None
    why: str = ""


def verify(log: Log, topic: str, after: int = 0, most: int = 20_000) -> Verdict:
    """At most so many entries; `after` must be the number of an entry that was verified before, or 0."""
    head = log.head(topic)
    previous = GENESIS
    if after:
        known = log.read(topic, after - 1, 1).entries
        if not known or known[0].seq != after:
            return Verdict(after, head.seq, after, "is missing")
        previous = known[0].hash
    end = min(head.seq, after + most)
    while after < end:
        # One more than is judged: the entry behind says which of two that do not fit was changed.
        entries = log.read(topic, after, min(_PAGE, end - after) + 1).entries
        for place, expected in enumerate(range(after + 1, min(after + _PAGE, end) + 1)):
            if place >= len(entries) or entries[place].seq != expected:
                return Verdict(after, head.seq, expected, "is missing")
            entry = entries[place]
            if entry.hash != digest(entry):
                return Verdict(after, head.seq, expected, "was changed")
            if entry.previous != previous:
                return Verdict(after, head.seq, *_culprit(entries, place, head))
            after, previous = expected, entry.hash
    if after == head.seq and previous != head.hash:
        return Verdict(after, head.seq, after, "was changed")
    return Verdict(after, head.seq)


def _culprit(entries: Sequence[Entry], place: int, head: Head) -> tuple[int, str]:
    """An entry whose hash is the one that its successor knows was not rewritten: then the one before it was."""
    entry = entries[place]
    known = entries[place + 1].previous if place + 1 < len(entries) else head.hash
    return (entry.seq - 1, "was changed") if known == entry.hash and entry.seq > 1 else (entry.seq, "was changed")
