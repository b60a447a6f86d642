"""The nouns: who follows what, and an entry of the log as its follower sees it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quintet.errors import Failure, Kind
from quintet.events.model import Entry
from quintet.identity.model import TOKEN_LEEWAY
from quintet.store.clock import iso

# What a follower asks for by name, and the events of the log that it is told under that name.
KINDS: Mapping[str, tuple[str, ...]] = {
    "task_progress": ("task.",),
    "escalation_status": ("escalation.",),
    "system_alerts": ("system.", "budget."),
}
NEEDS: Mapping[str, str] = {
    "task_progress": "read_tasks",
    "escalation_status": "read_escalations",
    "system_alerts": "read_monitoring",
}
REMEMBERED = timedelta(minutes=5)  # how long a place in the log is kept for one who lost the connection
_MOST_FILTERS = 100


@dataclass(frozen=True, slots=True)
class Follower:
    """`cursor` is the number of the last entry that it was told, or that was none of its business.

    Empty filters let everything through. `account`, `permissions` and `ends_at` are the caller's when it subscribed;
    `named_at` is no later than when it said who it is.
    """

    connection_id: str
    principal: str
    account: str
    permissions: frozenset[str]
    events: frozenset[str]
    cursor: int
    tasks: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    named_at: datetime | None = None
    ends_at: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        return self.ends_at is None or now < self.ends_at + TOKEN_LEEWAY

    @property
    def ticket(self) -> str:
        """By what the same follower is known again on another connection."""
        filters = [*sorted(self.events), *sorted(self.tasks), *sorted(self.resources)]
        return "|".join((self.account, self.principal, *filters))


@dataclass(frozen=True, slots=True)
class Reserved:
    """A connection that nobody tells anything while it is held: `follower` is None where it follows nothing yet."""

    follower: Follower | None


def kind_of(type: str) -> str | None:  # noqa: A002
    return next((name for name, beginnings in KINDS.items() if type.startswith(beginnings)), None)


def concerns(follower: Follower, entry: Entry, permissions: frozenset[str]) -> bool:
    """Whether this follower is told of the entry, with what it may read now."""
    event = entry.event
    if kind_of(event.type) not in follower.events or event.needs not in permissions:
        return False
    task = str(event.data.get("task_id", event.subject))
    if follower.tasks and task not in follower.tasks:
        return False
    return not follower.resources or bool(follower.resources & {event.subject, task, *_ids(event.data)})


def told(entry: Entry) -> str:
    """The message, in the document's form; `seq` and `event` beside."""
    event = entry.event
    return message(kind_of(event.type) or event.type, event.data, event.at, seq=entry.seq, event=event.type)


def abridged(entry: Entry) -> str:
    """Of what is larger than a message may be: what it is about, by its short values."""
    event = entry.event
    short = {
        name: value for name, value in event.data.items() if isinstance(value, (str, int)) and len(str(value)) <= 128
    }
    few = dict(list(short.items())[:_MOST_FILTERS])
    kind = kind_of(event.type) or event.type
    return message(kind, few, event.at, seq=entry.seq, event=event.type, truncated=True)


def message(type: str, data: Mapping[str, Any], at: datetime, **more: Any) -> str:  # noqa: A002
    content = {"type": type, "data": dict(data), "timestamp": iso(at), **more}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def kinds(given: Any) -> frozenset[str]:
    """Raises Failure for what is no list of names that there are. `*` is all of them."""
    names = given if isinstance(given, list) else None
    if not names or not all(isinstance(name, str) for name in names):
        raise Failure(Kind.INVALID, f"'events' must be a list of: {', '.join(KINDS)}")
    if "*" in names:
        return frozenset(KINDS)
    unknown = next((name for name in names if name not in KINDS), None)
    if unknown is not None:
        raise Failure(Kind.INVALID, f"There are no events '{unknown[:64]}'; there are: {', '.join(KINDS)}")
    return frozenset(names)


def filters(given: Mapping[str, Any], one: str, several: str) -> frozenset[str]:
    """A filter may be said as one id, or as a list of them."""
    words = given.get(several, [given[one]] if one in given else [])
    fits = isinstance(words, list) and len(words) <= _MOST_FILTERS
    if not fits or not all(isinstance(word, str) and 0 < len(word) <= 128 for word in words):
        raise Failure(Kind.INVALID, f"'{several}' must be a list of at most {_MOST_FILTERS} ids")
    return frozenset(words)


def _ids(data: Mapping[str, Any]) -> Iterable[str]:
    return (str(value) for name, value in data.items() if name == "id" or name.endswith("_id"))
