"""Every minute: pays what was owed by whoever ended too early, and takes over from executions that are gone."""

import logging
from datetime import timedelta
from typing import Any

from quintet.http.work import offload
from quintet.store.transactions import Unmet
from quintet.tasks.escalation import Stage
from quintet.tasks.store import debts as late_ones
from quintet.tasks.store import escalations, tasks
from workflow import services

_LATE = timedelta(seconds=15)
_QUIET = timedelta(minutes=2)  # a task that has not moved for so long may have lost its execution
_AT_ONCE = 100
log = logging.getLogger("quintet.workflow")


async def sweep() -> dict[str, Any]:
    return {"paid": await _pay(), "resumed": await _resume(), "looked_at": await _look_at_escalations()}


async def _pay() -> int:
    debts, now = services.debts(), services.clock.now()
    late = await offload(late_ones.since, now - _LATE)
    for subject in late:
        try:
            if subject.startswith("esc_"):
                escalation = await escalations.find(subject)
                if escalation is not None:
                    await services.escalations().pay(escalation)
            else:
                task = await tasks.find(subject)
                if task is not None:
                    await debts.pay(task)
                    await debts.advance(subject)
        except Exception:  # one that cannot be paid must not keep the others waiting
            log.exception("a debt could not be paid", extra={"subject": subject})
    return len(late)


async def _resume() -> int:
    """An execution that is gone, with its emulator or by somebody's hand, is followed by another one."""
    resumed, now = 0, services.clock.now()
    for task_id in await offload(tasks.running, now - _QUIET, _AT_ONCE):
        task = await tasks.find(task_id)
        if task is None or task.ended or await offload(services.engine.running, task.id, task.run):
            continue
        after = task.changed(now, run=task.run + 1)
        debts = services.debts()
        try:
            await offload(tasks.change, task, after, debts.owe(after))
        except Unmet:
            continue
        await debts.pay(after)
        resumed += 1
    return resumed


async def _look_at_escalations() -> int:
    found, _ = await escalations.page(
        status=Stage.PENDING, task_id=None, since=None, until=None, limit=_AT_ONCE, offset=0
    )
    for escalation in found:
        try:
            await services.escalations().sweep(escalation.id)
        except Exception:
            log.exception("an escalation could not be looked at", extra={"escalation": escalation.id})
    return len(found)
