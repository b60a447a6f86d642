"""How a process begins."""

import secrets
from datetime import datetime, timedelta

from quintet.personas.model import IDLE, Persona, Process, Status


def begun(persona: Persona, channel: str, task: str, now: datetime, lasts: timedelta = IDLE) -> Process:
    """`lasts` is how long it is taken to be alive when nobody tells of it any more."""
    return Process(
        id=secrets.token_hex(4),
        agent=persona.name,
        name=f"{persona.id}-{channel}",
        task=task,
        status=Status.RUNNING,
        started_at=now,
        active_until=now + lasts,
    )
