"""What happened, as a fact: events, their numbered and chained entries in a topic's log."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quintet.store.clock import iso

AUDIT = "audit"
GATEWAY = "gateway"  # what the gateway does call by call, and who fell ill
KEPT_TOPICS = frozenset({AUDIT})  # never expire: what was done, by whom
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Event:
    """Events of one `subject` keep their order. `needs` is the permission that a reader must have."""

    id: str
    topic: str
    type: str
    subject: str
    at: datetime
    data: Mapping[str, Any]
    needs: str
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """`seq` counts from 1 without gaps within the topic; `hash` covers the event and the entry before it."""

    seq: int
    event: Event
    previous: str
    hash: str = field(default="")

    def sealed(self) -> "Entry":
        return Entry(self.seq, self.event, self.previous, digest(self))


@dataclass(frozen=True, slots=True)
class Head:
    """Where a topic's log ends."""

    topic: str
    seq: int = 0
    hash: str = GENESIS


def chain(head: Head, events: Iterable[Event]) -> list[Entry]:
    entries: list[Entry] = []
    seq, previous = head.seq, head.hash
    for event in events:
        seq += 1
        entry = Entry(seq, event, previous).sealed()
        entries.append(entry)
        previous = entry.hash
    return entries


def digest(entry: Entry) -> str:
    event = entry.event
    told = [
        entry.previous,
        entry.seq,
        event.id,
        event.topic,
        event.type,
        event.subject,
        iso(event.at),
        event.actor,
        event.needs,
        canonical(event.data),
    ]
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


def canonical(data: Mapping[str, Any]) -> str:
    """One text for equal data: what is stored, sent and hashed."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def first_broken(entries: Iterable[Entry], previous: str) -> Entry | None:
    """The first entry that was changed, moved or follows a gap; None when the chain holds from `previous` on."""
    for entry in entries:
        if entry.previous != previous or entry.hash != digest(entry):
            return entry
        previous = entry.hash
    return None
