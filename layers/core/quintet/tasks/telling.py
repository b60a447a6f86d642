"""What the platform is told of a task: events, each in the transaction of the change that it tells of."""

from datetime import datetime, timedelta
from typing import Any

from quintet.events.model import Event
from quintet.events.platform import platform_event
from quintet.gateway.model import NANO
from quintet.store.clock import iso
from quintet.tasks.model import Status, Task

_TYPES = {
    Status.PENDING: "task.created",
    Status.IN_PROGRESS: "task.started",
    Status.COMPLETED: "task.completed",
    Status.FAILED: "task.failed",
    Status.CANCELLED: "task.cancelled",
}


def became(task: Task, actor: str) -> Event:
    """Tells that the task has the status that it has now."""
    return platform_event(_TYPES[task.status], task.id, _told(task), now=task.updated_at, actor=actor)


def progressed(task: Task, actor: str) -> Event:
    return platform_event("task.progress", task.id, _told(task), now=task.updated_at, actor=actor)


def progress_of(task: Task) -> dict[str, int]:
    progress = task.progress
    return {
        "completed_steps": progress.completed,
        "total_steps": progress.total,
        "percentage": progress.percentage,
    }


def estimated_completion(task: Task) -> datetime | None:
    """At the pace of the steps that are done; None while there are none."""
    if task.ended:
        return task.ended_at
    if task.started_at is None or not task.progress.completed:
        return None
    spent = task.updated_at - task.started_at
    left = task.progress.total - task.progress.completed
    seconds = spent.total_seconds() / task.progress.completed * left
    return task.updated_at + timedelta(milliseconds=int(1000 * seconds))


def _told(task: Task) -> dict[str, Any]:
    estimate = estimated_completion(task)
    told: dict[str, Any] = {
        "task_id": task.id,
        "title": task.title,
        "status": str(task.status),
        "progress": progress_of(task),
        "current_step": task.progress.step,
        "estimated_completion": iso(estimate) if estimate else None,
        "assignee_role": task.assignee_role,
        "created_by": task.created_by,
        "type": task.type,
        "model_used": task.model_used,
        "cost_usd": task.cost / NANO,
    }
    if task.error:
        told["error"] = task.error
    return told
