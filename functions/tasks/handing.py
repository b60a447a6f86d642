"""How a task comes to an agent: which model it is to try, and for how long it may work."""

from quintet.tasks.tasks import Handover
from tasks.bodies import NewTask


async def at_once(new: NewTask) -> Handover | None:
    """For a task that names a role. None where it waits to be submitted."""
    if new.assignee_role is None or not new.auto_start or new.metadata.get("auto_start") is False:
        return None
    return Handover(new.assignee_role, "glm-4.5", 300)
