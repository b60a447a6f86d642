"""What the steps work with: the room's verbs over the real tables, Step Functions and the gateway."""

from quintet.gateway.live import gateway, views
from quintet.store.clock import SystemClock
from quintet.tasks import budgets
from quintet.tasks.engine import StepFunctions
from quintet.tasks.escalating import Escalations
from quintet.tasks.model import Task
from quintet.tasks.owed import Debts
from quintet.tasks.running import Runner

clock = SystemClock()
engine = StepFunctions()


def debts() -> Debts:
    return Debts(engine, clock)


def escalations() -> Escalations:
    return Escalations(engine, debts(), clock, views().current)


def runner() -> Runner:
    escalating = escalations()
    return Runner(gateway(), debts(), clock, _budgeted, escalating.by_rule, escalating.ended)


async def _budgeted(task: Task) -> None:
    await budgets.give(task, clock)
