"""The event log in memory."""

from collections.abc import Sequence
from datetime import datetime

from quintet.events.model import Entry, Event, Head, chain
from quintet.events.store import Reading


class FakeEventLog:
    def __init__(self) -> None:
        self.outbox: list[Event] = []
        self.logs: dict[str, list[Entry]] = {}
        self._seen: set[str] = set()

    def tell(self, event: Event) -> None:
        self.outbox.append(event)

    def number(self, events: Sequence[Event]) -> list[Entry]:
        waiting = {event.id for event in self.outbox}
        entries = self._append([event for event in _once(events) if event.id in waiting])
        numbered = {entry.event.id for entry in entries}
        self.outbox = [event for event in self.outbox if event.id not in numbered]
        return entries

    def append(self, events: Sequence[Event]) -> list[Entry]:
        fresh = [event for event in _once(events) if event.id not in self._seen]
        self._seen.update(event.id for event in fresh)
        return self._append(fresh)

    def waiting(self, before: datetime) -> list[Event]:
        return [event for event in self.outbox if event.at < before]

    def head(self, topic: str) -> Head:
        log = self.logs.get(topic)
        return Head(topic, log[-1].seq, log[-1].hash) if log else Head(topic)

    def read(self, topic: str, after: int, limit: int = 100) -> Reading:
        log = self.logs.get(topic, [])
        last = self.head(topic).seq
        entries = [entry for entry in log if entry.seq > after][:limit]
        first = entries[0].seq if entries else last + 1
        return Reading(entries, last, lost=after > last or (after < last and first != after + 1))

    def forget(self, topic: str, up_to: int) -> None:
        """What the table's time to live does."""
        self.logs[topic] = [entry for entry in self.logs[topic] if entry.seq > up_to]

    def _append(self, events: Sequence[Event]) -> list[Entry]:
        written: list[Entry] = []
        for topic in dict.fromkeys(event.topic for event in events):
            entries = chain(self.head(topic), [event for event in events if event.topic == topic])
            self.logs.setdefault(topic, []).extend(entries)
            written += entries
        return written


def _once(events: Sequence[Event]) -> list[Event]:
    return list({event.id: event for event in events}.values())
