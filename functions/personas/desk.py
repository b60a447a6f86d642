"""The task platform as personas reach it."""

from quintet.personas.doing import Doing
from quintet.store.clock import SystemClock
from quintet.tasks.engine import StepFunctions
from quintet.tasks.owed import Debts
from quintet.tasks.tasks import Actor, Tasks


class Desk:
    """Nobody is set to work: what a persona asks for waits for a person, or for an agent that a person chooses."""

    def __init__(self) -> None:
        clock = SystemClock()
        self._tasks = Tasks(Debts(StepFunctions(), clock), clock)

    async def create(self, title: str, description: str, doing: Doing) -> str:
        payer = doing.payer
        actor = Actor(payer.principal, payer.account, payer.key_id)
        values = {"title": title, "description": description, "tags": (f"persona:{doing.line.persona.id}",)}
        task = await self._tasks.create(values, actor, None)
        return task.id
