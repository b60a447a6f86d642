"""The events table: an outbox on the way in, a log per topic, and each topic's head."""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.transactions import TransactWrite

from quintet.events.model import KEPT_TOPICS, Entry, Event, Head, canonical, chain
from quintet.events.shapes import EVENT
from quintet.settings import settings
from quintet.store.clock import Clock, SystemClock, epoch, from_millis, millis
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Unmet, Write, write_together

OUTBOX_SHARDS = 16
_PAGE = 1000  # entries of a topic that share a partition key
_BATCH = 40  # a transaction takes 100 writes; an entry is two, the head one
_SEEN_FOR = timedelta(days=2)  # a stream tells its last 24 hours again at the most


class EventItem(Table):
    """An entry of the log, or of the outbox: there without a number yet."""

    shape = EVENT

    class Meta:
        table_name = TableName("events")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()
    topic = UnicodeAttribute()
    type = UnicodeAttribute()
    subject = UnicodeAttribute()
    at = NumberAttribute()  # milliseconds
    data = UnicodeAttribute()
    needs = UnicodeAttribute()
    actor = UnicodeAttribute(null=True)
    seq = NumberAttribute(null=True)
    previous = UnicodeAttribute(null=True)
    hash = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)


class HeadItem(Table):
    class Meta:
        table_name = TableName("events")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    seq = NumberAttribute()
    hash = UnicodeAttribute()


class SeenItem(Table):
    """Says that an event which never was in the outbox has its number, so that telling it again changes nothing."""

    class Meta:
        table_name = TableName("events")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()


@dataclass(frozen=True, slots=True)
class Reading:
    """`lost` says that entries between `after` and the first one here are gone: they were older than the log keeps."""

    entries: list[Entry]
    head: int
    lost: bool


def outbox(event: Event) -> Write:
    """Tells of a state change in the transaction that makes it: `write_together([change, outbox(event)])`."""
    item = _item(event, pk=_outbox_key(event.subject), sk=event.id)

    def write(transaction: TransactWrite) -> None:
        transaction.save(item, condition=EventItem.pk.does_not_exist())

    return write


def number(events: Sequence[Event], clock: Clock | None = None) -> list[Entry]:
    """Gives outbox events their place in their topics' logs. Telling the same events again changes nothing.

    Answers the entries that this call wrote.
    """
    return _append(events, _leave_outbox, clock or SystemClock())


def append(events: Sequence[Event], clock: Clock | None = None) -> list[Entry]:
    """For facts that no transaction of ours makes, told by a stream at least once: each id gets one entry."""
    clock = clock or SystemClock()
    forget_at = epoch(clock.now() + _SEEN_FOR)
    return _append(events, lambda event: _mark_seen(event, forget_at), clock)


def waiting(shard: int, before: datetime) -> list[Event]:
    """Events that lie in a shard of the outbox since before `before`: their stream record was lost."""
    items = EventItem.query(f"outbox#{shard:02d}", filter_condition=EventItem.at < millis(before), limit=_BATCH)
    return [_event(item) for item in items]


def head(topic: str) -> Head:
    try:
        item = HeadItem.get(f"head#{topic}", "head", consistent_read=True)
    except HeadItem.DoesNotExist:
        return Head(topic)
    return Head(topic, int(item.seq), item.hash)


def read(topic: str, after: int, limit: int = 100) -> Reading:
    """Entries numbered above `after`, oldest first. What a call answers is final: numbers have no gaps."""
    last = head(topic).seq
    entries: list[Entry] = []
    seq = max(after, 0) + 1
    if seq <= last and not _is_there(topic, seq):
        seq = _oldest(topic, seq, last)
    while seq <= last and len(entries) < limit:
        page_end = (seq // _PAGE + 1) * _PAGE - 1
        items = EventItem.query(
            _log_key(topic, seq),
            EventItem.sk.between(_place(seq), _place(min(page_end, last))),
            limit=limit - len(entries),
            consistent_read=True,
        )
        entries += [_entry(item) for item in items]
        seq = page_end + 1
    first = entries[0].seq if entries else last + 1
    return Reading(entries, last, lost=after > last or (after < last and first != after + 1))


def _is_there(topic: str, seq: int) -> bool:
    return EventItem.count(_log_key(topic, seq), EventItem.sk == _place(seq), consistent_read=True) == 1


def _oldest(topic: str, gone: int, last: int) -> int:
    """The first entry that is still kept, found by halving: entries expire from the oldest on."""
    there = last + 1
    while there - gone > 1:
        middle = (gone + there) // 2
        if _is_there(topic, middle):
            there = middle
        else:
            gone = middle
    return there


def event_of_image(image: dict[str, Any]) -> Event:
    """From a stream record's NewImage."""
    item = EventItem()
    item.deserialize(image)
    return _event(item)


def entry_of_image(image: dict[str, Any]) -> Entry:
    """From a stream record's NewImage of a log's entry."""
    item = EventItem()
    item.deserialize(image)
    return _entry(item)


Admit = Callable[[Event], Write]
"""The write that lets an event into the log once: its condition fails for an event that has its number already."""


def _append(events: Sequence[Event], admit: Admit, clock: Clock) -> list[Entry]:
    topics: dict[str, list[Event]] = {}
    for event in events:
        topics.setdefault(event.topic, []).append(event)
    written: list[Entry] = []
    for topic, of_topic in topics.items():
        for start in range(0, len(of_topic), _BATCH):
            written += _append_batch(topic, of_topic[start : start + _BATCH], admit, clock)
    return written


def _append_batch(topic: str, events: list[Event], admit: Admit, clock: Clock) -> list[Entry]:
    """The head's condition makes the numbering exact: of two writers one takes the numbers, the other reads again."""
    left = list(dict.fromkeys(event.id for event in events))
    by_id = {event.id: event for event in events}
    expires_at = None if topic in KEPT_TOPICS else epoch(clock.now() + timedelta(days=settings().event_log_days))
    while left:
        before = head(topic)
        entries = chain(before, (by_id[identifier] for identifier in left))
        writes = [_move_head(before, entries[-1])]
        for entry in entries:
            writes += [_log_entry(entry, expires_at), admit(entry.event)]
        try:
            write_together(writes)
        except Unmet as unmet:
            if unmet.index > 0:  # told before: this event has its number
                del left[(unmet.index - 1) // 2]
            continue
        return entries
    return []


def _move_head(before: Head, last: Entry) -> Write:
    key = f"head#{last.event.topic}"
    item = HeadItem(key, "head", seq=last.seq, hash=last.hash)
    unmoved = (HeadItem.seq == before.seq) if before.seq else HeadItem.pk.does_not_exist()
    return lambda transaction: transaction.save(item, condition=unmoved)


def _log_entry(entry: Entry, expires_at: int | None) -> Write:
    item = _item(entry.event, pk=_log_key(entry.event.topic, entry.seq), sk=_place(entry.seq))
    item.seq, item.previous, item.hash, item.expires_at = entry.seq, entry.previous, entry.hash, expires_at
    return lambda transaction: transaction.save(item, condition=EventItem.pk.does_not_exist())


def _leave_outbox(event: Event) -> Write:
    item = EventItem(_outbox_key(event.subject), event.id)
    return lambda transaction: transaction.delete(item, condition=EventItem.pk.exists())


def _mark_seen(event: Event, forget_at: int) -> Write:
    item = SeenItem(f"seen#{event.id}", "seen", expires_at=forget_at)
    return lambda transaction: transaction.save(item, condition=SeenItem.pk.does_not_exist())


def _outbox_key(subject: str) -> str:
    # One subject, one partition: a stream keeps the order of a partition.
    return f"outbox#{zlib.crc32(subject.encode()) % OUTBOX_SHARDS:02d}"


def _log_key(topic: str, seq: int) -> str:
    return f"log#{topic}#{seq // _PAGE}"


def _place(seq: int) -> str:
    return f"{seq:016d}"


def _item(event: Event, pk: str, sk: str) -> EventItem:
    return EventItem(
        pk,
        sk,
        id=event.id,
        topic=event.topic,
        type=event.type,
        subject=event.subject,
        at=millis(event.at),
        data=canonical(event.data),
        needs=event.needs,
        actor=event.actor or None,
    )


def _event(item: EventItem) -> Event:
    return Event(
        id=item.id,
        topic=item.topic,
        type=item.type,
        subject=item.subject,
        at=from_millis(int(item.at)),
        data=json.loads(item.data),
        needs=item.needs,
        actor=item.actor or "",
    )


def _entry(item: EventItem) -> Entry:
    return Entry(int(item.seq or 0), _event(item), item.previous or "", item.hash or "")
