"""What a change of a task still owes the world once it is written: an execution begun or stopped, others that waited.

The debt is a row written together with the change, and gone when it is paid. Whoever changes a task pays at once;
should it end in between, the workflow function's schedule pays. Paying twice changes nothing.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

from quintet.events.store import outbox
from quintet.http.work import offload
from quintet.store.clock import Clock
from quintet.store.transactions import Unmet, Write
from quintet.tasks import telling
from quintet.tasks.dependencies import broken_one, open_ones
from quintet.tasks.model import Status, Task
from quintet.tasks.store import debts, tasks

_ACTOR = "system"
log = logging.getLogger("quintet.tasks")


class Engine(Protocol):
    """`engine.StepFunctions` over AWS. Blocking."""

    def start(self, task_id: str, run: int, /) -> None:
        """Beginning the same run twice is one beginning."""
        ...

    def stop(self, task_id: str, run: int, why: str, /) -> None:
        """One that is not running is stopped already."""
        ...

    def running(self, task_id: str, run: int, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Debts:
    engine: Engine
    clock: Clock

    def owe(self, task: Task) -> Write:
        """Part of the transaction that changes the task."""
        return debts.owe(task.id, task.updated_at)

    async def pay(self, task: Task, *, within: bool = False) -> None:
        """`within` says that the task's own execution asks: it must not stop itself."""
        if not task.ended and task.run:
            await offload(self.engine.start, task.id, task.run)
        if task.ended:
            if task.run and not within:
                await offload(self.engine.stop, task.id, task.run, f"The task is {task.status}")
            for waiting in await offload(tasks.waiting_for, task.id):
                await self.advance(waiting)
        await offload(debts.paid, task.id, task.updated_at)

    async def pay_now(self, task: Task) -> None:
        """For whoever answers a caller: what is done is done, and what is still owed is paid by the schedule."""
        try:
            await (self.advance(task.id) if not task.run and not task.ended else self.pay(task))
        except Exception:
            log.exception("a task's debt is left to the schedule", extra={"task": task.id})

    async def advance(self, task_id: str) -> None:
        """Begins a submitted task whose dependencies are all completed; fails it when one of them never will be."""
        while True:
            task = await tasks.find(task_id)
            if task is None or task.status is not Status.PENDING or task.submission is None or task.run:
                return None
            known = await tasks.heads(task.dependencies)
            broken = broken_one(task.dependencies, known)
            now = self.clock.now()
            if broken is not None:
                after = task.changed(now, status=Status.FAILED, ended_at=now, error=_because_of(broken))
                also = [self.owe(after), outbox(telling.became(after, _ACTOR))]
            elif open_ones(task.dependencies, known):
                return None
            else:
                after = task.changed(now, run=1)
                also = [self.owe(after)]
            try:
                await offload(tasks.change, task, after, *also)
            except Unmet:
                continue
            return await self.pay(after)


def _because_of(task: Task) -> str:
    return f"The task '{task.id}', which this one depends on, is {task.status}"
