"""Tasks and escalations as kyros.md shows them. Money leaves here as USD."""

from datetime import datetime
from typing import Any

from quintet.gateway.model import NANO
from quintet.store.clock import iso, iso_of
from quintet.tasks.model import Summary, Task
from quintet.tasks.telling import estimated_completion, progress_of

_NO_RESULTS = {"files_modified": 0, "tests_added": 0, "documentation_updated": False}


def moment(value: datetime | None) -> str | None:
    return iso(value) if value else None


def dollars(nano: int) -> float:
    return round(nano / NANO, 6)


def costed(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "cost": dollars(told["cost"])}


def created(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "title": task.title,
        "status": str(task.status),
        "created_at": iso(task.created_at),
        "created_by": task.created_by,
        "assignee_role": task.assignee_role,
        "priority": task.priority,
        "estimated_hours": task.metadata.get("estimated_hours"),
        "deadline": moment(task.deadline),
    }


def listed(task: Summary) -> dict[str, Any]:
    return task._asdict() | {
        "created_at": iso_of(task.created_at),
        "updated_at": iso_of(task.updated_at),
        "deadline": None if task.deadline is None else iso_of(task.deadline),
    }


def whole(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "type": task.type,
        "status": str(task.status),
        "priority": task.priority,
        "assignee_role": task.assignee_role,
        "created_at": iso(task.created_at),
        "updated_at": iso(task.updated_at),
        "created_by": task.created_by,
        "assigned_to": task.assigned_to,
        "files_to_modify": list(task.files_to_modify),
        "acceptance_criteria": list(task.acceptance_criteria),
        "dependencies": list(task.dependencies),
        "tags": list(task.tags),
        "deadline": moment(task.deadline),
        "progress": progress_of(task),
        "current_step": task.progress.step,
        "estimated_completion": moment(estimated_completion(task)),
        "results": {**_NO_RESULTS, **task.results},
        "feedback": task.feedback,
        "error": task.error,
        "submission_id": task.submission.id if task.submission else None,
        "escalation_id": task.escalation_id,
        "started_at": moment(task.started_at),
        "ended_at": moment(task.ended_at),
        "metadata": {**task.metadata, **_found_out(task)},
    }


def _found_out(task: Task) -> dict[str, Any]:
    """What the platform knows of the work; what a caller has said about it stays until then."""
    found: dict[str, Any] = {}
    if task.started_at is not None:
        until = task.ended_at or task.updated_at
        found["actual_hours"] = round((until - task.started_at).total_seconds() / 3600, 4)
    if task.model_used is not None:
        found["model_used"] = task.model_used
        found["cost"] = dollars(task.cost)
    return found
