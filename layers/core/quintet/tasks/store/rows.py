"""A task as its two items: the head, which lists read and every change writes, and the body, which only it reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from quintet.store.clock import from_millis, millis
from quintet.tasks.model import Progress, Status, Submission, Summary, Task

BODY, HEAD, STEP = "body", "head", "step#"  # in the order in which a query finds them
_MOMENTS = ("created_at", "updated_at", "deadline", "started_at", "ended_at")
_WORDS = ("files_to_modify", "acceptance_criteria", "dependencies", "tags")
_IN_HEAD = (
    "title",
    "created_at",
    "created_by",
    "updated_at",
    "type",
    "status",
    "priority",
    "assignee_role",
    "assigned_to",
    "dependencies",
    "tags",
    "deadline",
    "progress",
    "error",
    "escalation_id",
    "model_used",
    "cost",
    "started_at",
    "ended_at",
    "run",
    "round",
)
_ALWAYS = frozenset({"type", "status", "priority", "progress"})
_IN_BODY = (
    "description",
    "files_to_modify",
    "acceptance_criteria",
    "metadata",
    "results",
    "feedback",
    "submission",
)


_DEFAULTS = {field.name: field.default for field in fields(Task)}


def head_of(task: Task) -> str:
    """What is as it was from the first is not told: lists read many heads."""
    told = ((name, getattr(task, name)) for name in _IN_HEAD)
    return _text({name: _plain(value) for name, value in told if value != _DEFAULTS[name] or name in _ALWAYS})


def body_of(task: Task) -> str:
    return _text({name: _plain(getattr(task, name)) for name in _IN_BODY})


def body_size(task: Task) -> int:
    """In bytes."""
    return len(body_of(task).encode())


def task_of(task_id: str, rev: int, head: str, body: str | None = None) -> Task:
    """Without its body a task has what its work changes."""
    values: dict[str, Any] = json.loads(head) | (json.loads(body) if body else {})
    for name in _MOMENTS:
        if values.get(name) is not None:
            values[name] = from_millis(values[name])
    for name in _WORDS:
        if name in values:
            values[name] = tuple(values[name])
    values["status"] = Status(values["status"])
    values["progress"] = Progress(**values["progress"])
    if values.get("submission") is not None:
        submission = values["submission"]
        values["submission"] = Submission(**submission | {"at": from_millis(submission["at"])})
    return Task(id=task_id, rev=rev, **values)


def summaries_of(heads: Sequence[tuple[str, str]]) -> list[Summary]:
    """Of ids and what their heads tell: fifty texts are read as one."""
    told = json.loads(f"[{','.join(head for _, head in heads)}]")
    return [
        Summary(
            task_id,
            head["title"],
            head["status"],
            head["type"],
            head["priority"],
            head.get("assignee_role"),
            head["created_at"],
            head["updated_at"],
            head["created_by"],
            head.get("tags", ()),
            head.get("deadline"),
        )
        for (task_id, _), head in zip(heads, told, strict=True)
    ]


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return millis(value)
        case Progress(completed, total, step):
            return {"completed": completed, "total": total, "step": step}
        case Submission():
            return {name: _plain(getattr(value, name)) for name in Submission.__slots__}
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case _:
            return value


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
