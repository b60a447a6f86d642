"""How a role's agents are doing, from what their tasks really took. Where nothing has happened yet, nothing is said."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quintet.gateway.model import NANO
from quintet.tasks.running import AGENTS
from quintet.tasks.store import tasks
from quintet.tasks.store.figures import of_role


async def figures(role: str, now: datetime) -> dict[str, Any]:
    """kyros.md's status. Rates and means are of the last seven days; a task's duration is in minutes."""
    active, waiting = await tasks.busy(role)
    days = await of_role(role, now)
    week = _summed(days)
    ended = week.get("completed", 0) + week.get("failed", 0)
    models = {name.removeprefix("m:"): number for name, number in week.items() if name.startswith("m:")}
    share = sum(models.values())
    return {
        "role": role,
        "available_agents": max(0, AGENTS - active),
        "active_tasks": active,
        "queue_length": waiting,
        "average_response_time": _per(week.get("millis", 0) / 1000, week.get("steps", 0), 3),
        "success_rate": _per(100 * week.get("completed", 0), ended, 1),
        "current_models": {name: round(100 * number / share) for name, number in sorted(models.items())},
        "performance": {
            "tasks_completed_today": days[0].get("completed", 0),
            "average_task_duration": _per(week.get("millis", 0) / 60_000, ended, 3),
            "cost_per_task": _per(week.get("cost", 0) / NANO, ended, 6),
        },
    }


async def usual_seconds(role: str, now: datetime) -> int | None:
    week = _summed(await of_role(role, now))
    ended = week.get("completed", 0) + week.get("failed", 0)
    return max(1, round(week["millis"] / 1000 / ended)) if ended else None


def _summed(days: list[dict[str, Any]]) -> Mapping[str, int]:
    week: dict[str, int] = {}
    for day in days:
        for name, number in day.items():
            week[name] = week.get(name, 0) + number
    return week


def _per(amount: float, number: int, digits: int) -> float | None:
    return round(amount / number, digits) if number else None
