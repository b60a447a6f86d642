"""What a step of a state machine may end with. The names are a contract: infra/statemachines/*.asl.yaml catch them."""


class StepFailure(Exception):  # noqa: N818 - each is named after what happened
    """The message becomes the task's reason: a sentence for people, without a secret."""


class TaskEnded(StepFailure):
    """The task is not this execution's any more: cancelled, ended by somebody else, or taken over by a later run."""


class AgentUnavailable(StepFailure):
    """The role is switched off."""


class ModelFailed(StepFailure):
    """Throttled, overloaded, out of reach: it may go well the next time."""


class ModelRefused(StepFailure):
    """It will refuse the same question again."""


class OutOfBudget(StepFailure):
    """The money is spent."""


class OutOfTime(StepFailure):
    """The task's own time is up."""


class OutOfTurn(StepFailure):
    """The step before this one is not done."""


class EscalationGone(StepFailure):
    """There is no such escalation, or its task has ended otherwise."""
