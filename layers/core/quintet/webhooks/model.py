"""The nouns: endpoints that want to be told, and what became of telling them."""

import base64
import binascii
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from quintet.errors import invalid
from quintet.events.model import Entry
from quintet.events.platform import TYPES
from quintet.store.clock import iso

TEST = "webhook.test"
_SHORTEST_SECRET, _LONGEST_SECRET = 16, 256
_PREFIX = "whsec_"
_LONGEST_STORY = 100  # attempts; of one that is replayed for ever, the latest
_LONGEST_ERROR = 300


class Status(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"  # by its owner, or by us after days of failure: `reason` says which
    DISABLED = "disabled"  # it answered 410: whoever is there wants nothing more


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`account` and `permissions` are its owner's when it was made: what the owner may read now is asked anew.

    While a secret is being rotated there are two, and both sign.
    """

    id: str
    owner: str
    account: str
    permissions: frozenset[str]
    url: str
    events: tuple[str, ...]
    secret: str = field(repr=False)
    created_at: datetime
    updated_at: datetime
    description: str = ""
    status: Status = Status.ACTIVE
    reason: str = ""
    previous_secret: str = field(default="", repr=False)
    previous_until: datetime | None = None
    version: int = 1

    def wants(self, type: str) -> bool:  # noqa: A002
        return any(fits(pattern, type) for pattern in self.events)

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        if self.previous_secret and self.previous_until is not None and now < self.previous_until:
            return self.secret, self.previous_secret
        return (self.secret,)


class Standing(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  # nobody tries any more, until somebody asks for a replay


@dataclass(frozen=True, slots=True)
class Attempt:
    """`status` is the receiver's, `error` why there was none or why it does not count."""

    at: datetime
    latency_ms: int
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. `body` is sent to the letter on every attempt; `event_id` is the webhook-id.

    `tried` counts the attempts since it was last asked for: a replay begins anew, and keeps the story.
    """

    id: str
    endpoint_id: str
    event_id: str
    seq: int
    type: str
    body: str
    created_at: datetime
    asked_at: datetime
    next_at: datetime
    standing: Standing = Standing.PENDING
    tried: int = 0
    attempts: tuple[Attempt, ...] = ()

    @property
    def needs(self) -> str | None:
        """The permission to read it. None for a test, which tells of nothing."""
        return TYPES.get(self.type)

    def after(self, attempt: Attempt, **changes: Any) -> "Delivery":
        told = replace(attempt, error=attempt.error[:_LONGEST_ERROR])
        return replace(self, attempts=(*self.attempts, told)[-_LONGEST_STORY:], **changes)


def delivery_of(entry: Entry, endpoint: Endpoint, now: datetime) -> Delivery:
    """Its id follows from the event's: whoever tells of the event again makes the same one."""
    event = entry.event
    identifier = f"dlv_{event.id.rpartition('_')[2]}"
    content = body(event.type, event.at, event.data)
    return Delivery(identifier, endpoint.id, event.id, entry.seq, event.type, content, now, now, now)


def body(type: str, at: datetime, data: Mapping[str, Any]) -> str:  # noqa: A002
    """Compact JSON, as it is signed and sent."""
    told = {"type": type, "timestamp": iso(at), "data": data}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fits(pattern: str, type: str) -> bool:  # noqa: A002
    """`*` is every type, `task.*` every type of tasks."""
    return pattern in {"*", type} or (pattern.endswith(".*") and type.startswith(pattern[:-1]))


def patterns(words: Iterable[str]) -> tuple[str, ...]:
    """Raises Failure for one that no type fits."""
    given = tuple(dict.fromkeys(words))
    for pattern in given:
        if not any(fits(pattern, type) for type in TYPES):  # noqa: A001
            known = ", ".join(sorted(TYPES))
            raise invalid("events", f"'{pattern}' fits no event; there are: {known}; and wildcards such as task.*")
    if not given:
        raise invalid("events", "Must name at least one event")
    return given


def new_secret() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def acceptable(secret: str) -> str:
    """Raises Failure for one that is too weak to sign with, or that no receiver could read."""
    if not _SHORTEST_SECRET <= len(secret) <= _LONGEST_SECRET:
        raise invalid("secret", f"Must have {_SHORTEST_SECRET} to {_LONGEST_SECRET} characters")
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) < _SHORTEST_SECRET:
            raise invalid("secret", f"What follows {_PREFIX} must be base64 of at least {_SHORTEST_SECRET} bytes")
    return secret


def key_of(secret: str) -> bytes:
    """The bytes that sign: Standard Webhooks' secrets are base64, all others are their own text."""
    if secret.startswith(_PREFIX):
        return base64.b64decode(secret.removeprefix(_PREFIX))
    return secret.encode()
