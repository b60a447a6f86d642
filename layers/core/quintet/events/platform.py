"""The platform topic: what callers may follow by WebSocket and webhook, one log in one order."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quintet.events.model import Event
from quintet.store.ids import new_id

PLATFORM = "platform"

# Every type that there is, and the permission that a reader must have.
TYPES: Mapping[str, str] = {
    "task.created": "read_tasks",
    "task.started": "read_tasks",
    "task.progress": "read_tasks",
    "task.completed": "read_tasks",
    "task.failed": "read_tasks",
    "task.cancelled": "read_tasks",
    "escalation.requested": "read_escalations",
    "escalation.approved": "read_escalations",
    "escalation.rejected": "read_escalations",
    "escalation.completed": "read_escalations",
    "escalation.expired": "read_escalations",
    "system.alert": "read_monitoring",
    "budget.exhausted": "read_monitoring",
}


def platform_event(type: str, subject: str, data: Mapping[str, Any], *, now: datetime, actor: str = "") -> Event:  # noqa: A002
    """`subject` is the task's id for what concerns a task: events of one subject keep their order."""
    return Event(new_id("evt", now), PLATFORM, type, subject, now, data, TYPES[type], actor)
