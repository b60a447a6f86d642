"""The audit topic: who did what to whom, told in the transaction that does it."""

from collections.abc import Mapping
from typing import Any

from quintet.events.model import AUDIT, Event
from quintet.events.store import outbox
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from quintet.store.transactions import Write


def audited(type: str, subject: str, data: Mapping[str, Any], actor: str) -> Write:  # noqa: A002
    """`data` holds no secret: what is told here is kept for good."""
    now = SystemClock().now()
    return outbox(Event(new_id("evt", now), AUDIT, type, subject, now, data, needs="admin", actor=actor))
