"""How a task comes to an agent: which model it is to try, and how long the work will take."""

from collections.abc import Mapping
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.live import views
from quintet.store.clock import SystemClock
from quintet.tasks import models
from quintet.tasks.figures import usual_seconds
from quintet.tasks.model import Task
from quintet.tasks.tasks import Handover
from quintet.tasks.terms import role_terms
from tasks.bodies import NewTask


async def at_once(new: NewTask) -> Handover | None:
    """For a task that names a role. None where it waits to be submitted, or where nobody of the role works."""
    role = new.assignee_role
    if role is None or not new.auto_start or new.metadata.get("auto_start") is False:
        return None
    configured = await role_terms(role)
    if not configured["enabled"]:
        return None
    return Handover(role, configured["default_model"], await _seconds(role, {}, configured), by_itself=True)


async def over(task: Task, role: str, context: Mapping[str, Any], preferences: Mapping[str, Any]) -> Handover:
    """Raises Failure where the role is switched off, or the model that is asked for."""
    configured = await role_terms(role)
    if not configured["enabled"]:
        raise Failure(Kind.UNAVAILABLE, f"The role '{role}' is switched off", code="AGENT_UNAVAILABLE", retry_after=60)
    wanted = preferences.get("model")
    if wanted is not None:
        wanted = models.usable(await views().current(), wanted).id
    elif task.submission is not None:
        wanted = task.submission.model
    seconds = await _seconds(role, preferences, configured)
    return Handover(role, wanted or configured["default_model"], seconds, context=context, preferences=preferences)


async def _seconds(role: str, preferences: Mapping[str, Any], configured: Mapping[str, Any]) -> int:
    """As long as this role's tasks take; where none has ended yet, the longest that this one may."""
    usual = await usual_seconds(role, SystemClock().now())
    return usual or int(preferences.get("timeout") or configured["preferences"]["timeout"])
