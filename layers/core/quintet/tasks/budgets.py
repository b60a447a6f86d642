"""A task's budget in the ledger: what all its calls together may cost, until an approval adds to it."""

from quintet.gateway.ledger.live import control
from quintet.gateway.ledger.model import Scope, Window
from quintet.gateway.model import NANO
from quintet.store.clock import Clock
from quintet.tasks.model import Task
from quintet.tasks.terms import terms

_ACTOR = "system"


async def give(task: Task, clock: Clock) -> None:
    """`budget_remaining` of its context or metadata, in USD; without one, the configuration's cost threshold."""
    if await control().of(Scope.TASK, task.id, Window.TOTAL) is None:
        await _put(task.id, _wished(task) or (await terms()).cost_threshold, clock)


async def add(task: Task, more: int, clock: Clock) -> None:
    """`more` nano-USD beside what it has spent so far, if that is more than it has."""
    known = await control().of(Scope.TASK, task.id, Window.TOTAL)
    cap = task.cost + more
    if known is None or known.cap < cap:
        await _put(task.id, cap, clock)


async def _put(task_id: str, cap: int, clock: Clock) -> None:
    await control().put(Scope.TASK, task_id, Window.TOTAL, cap, actor=_ACTOR, now=clock.now())


def _wished(task: Task) -> int | None:
    context = task.submission.context if task.submission else {}
    for place in (context, task.metadata):
        wished = place.get("budget_remaining")
        if isinstance(wished, int | float) and not isinstance(wished, bool) and 0 < wished < 1e9:
            return round(wished * NANO)
    return None
