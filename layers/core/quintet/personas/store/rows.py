"""How the nouns lie in their rows."""

import json
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quintet.personas.model import Metrics, Process, Session, Status
from quintet.store.clock import epoch, from_millis, millis

Row = Mapping[str, Any]

PARTS = 8
_KEPT = timedelta(days=1)  # after its end
_METRICS = ("input_tokens", "output_tokens", "llm_calls", "tool_calls", "cost")


def place(moment: datetime, identifier: str = "") -> str:
    """A range key of an index: sortable by its moment, and nobody else's."""
    return f"{millis(moment):015d}#{identifier}"


def after(moment: datetime) -> str:
    """Where the places begin that are later than a moment."""
    return place(moment + timedelta(milliseconds=1))


def part_of(identifier: str) -> str:
    """No partition of an index is everybody's."""
    return f"{zlib.crc32(identifier.encode()) % PARTS}"


def parts() -> list[str]:
    return [str(number) for number in range(PARTS)]


def session_row(session: Session) -> dict[str, Any]:
    """Without its key."""
    return {
        "part": part_of(session.key),
        "scope": session.scope,
        "caller_id": session.caller_id,
        "agent": session.agent,
        "process_id": session.process_id,
        "began_at": millis(session.began_at),
        "active_until": millis(session.active_until),
        "alive": place(session.active_until, session.key),
        "summary": session.summary,
        "messages": json.dumps(session.messages, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"),
        "turns": session.turns,
        "expires_at": epoch(session.active_until + _KEPT),
    }


def session_of(row: Row) -> Session | None:
    """None for a row that only says who has the floor."""
    if "process_id" not in row:
        return None
    return Session(
        scope=row["scope"],
        caller_id=row["caller_id"],
        agent=row["agent"],
        process_id=row["process_id"],
        began_at=from_millis(row["began_at"]),
        active_until=from_millis(row["active_until"]),
        summary=row.get("summary", ""),
        messages=tuple(json.loads(row.get("messages", b"[]"))),
        turns=row.get("turns", 0),
    )


def process_row(process: Process) -> dict[str, Any]:
    row = {
        "id": process.id,
        "part": part_of(process.id),
        "begun": place(process.started_at, process.id),
        "alive": place(process.active_until, process.id),
        "agent": process.agent,
        "name": process.name,
        "task": process.task,
        "status": process.status.value,
        "started_at": millis(process.started_at),
        "active_until": millis(process.active_until),
        "expires_at": epoch(process.active_until + _KEPT),
        **metrics_row(process.metrics),
    }
    if process.ended_at is not None:
        row["ended_at"] = millis(process.ended_at)
    return row


def process_of(row: Row) -> Process:
    return Process(
        id=row["id"],
        agent=row["agent"],
        name=row["name"],
        task=row["task"],
        status=Status(row["status"]),
        started_at=from_millis(row["started_at"]),
        active_until=from_millis(row["active_until"]),
        metrics=Metrics(**{name: row.get(name, 0) for name in _METRICS}),
        ended_at=from_millis(row["ended_at"]) if "ended_at" in row else None,
    )


def metrics_row(metrics: Metrics) -> dict[str, int]:
    return {name: getattr(metrics, name) for name in _METRICS}


def kept_until(moment: datetime) -> int:
    return epoch(moment + _KEPT)
