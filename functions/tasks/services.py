"""What the routes of this function work with: the room's verbs over the real tables and Step Functions."""

from quintet.store.clock import SystemClock
from quintet.tasks.engine import StepFunctions
from quintet.tasks.owed import Debts
from quintet.tasks.tasks import Tasks

clock = SystemClock()
engine = StepFunctions()


def tasks() -> Tasks:
    return Tasks(Debts(engine, clock), clock)
