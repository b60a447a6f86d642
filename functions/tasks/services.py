"""What the routes of this function work with: the room's verbs over the real tables and Step Functions."""

from quintet.gateway.live import views
from quintet.identity.model import Principal
from quintet.store.clock import SystemClock
from quintet.tasks.engine import StepFunctions
from quintet.tasks.escalating import Escalations
from quintet.tasks.owed import Debts
from quintet.tasks.tasks import Actor, Tasks

clock = SystemClock()
engine = StepFunctions()


def tasks() -> Tasks:
    return Tasks(Debts(engine, clock), clock)


def escalations() -> Escalations:
    return Escalations(engine, Debts(engine, clock), clock, views().current)


def actor(caller: Principal) -> Actor:
    return Actor(caller.id, caller.account, caller.key_id, caller.ordered_by)
