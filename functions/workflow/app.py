"""The steps of the state machines, and the schedule that mends what others have left behind."""

from quintet.telemetry.lambdas import consume

from typing import Any

from quintet.store.meter import used
from workflow import services
from workflow.sweeping import sweep

# What Step Functions charges for with each step: the step itself, and the states on the way to the next one.
TRANSITIONS = {"begin": 2, "plan": 2, "finish": 2, "fail": 2, "open_escalation": 2, "await_decision": 2, "rerun": 2}


@consume
async def handler(event: dict[str, Any]) -> dict[str, Any]:
    """What an execution asks for is named `step`; a schedule's tick names none."""
    if "step" not in event:
        return await sweep()
    used("state_transition", TRANSITIONS.get(event["step"], 1))
    match event:
        case {"step": "begin", "task_id": str(task_id), "run": int(run)}:
            begun = await services.runner().begin(task_id, run)
            used("state_transition", int(begun["next"] != "go"))  # it waits, and begins again
            return begun
        case {"step": "plan", "task_id": str(task_id), "run": int(run)}:
            return await services.runner().plan(task_id, run)
        case {"step": "work", "task_id": str(task_id), "run": int(run), "index": int(index)}:
            return await services.runner().work(task_id, run, index)
        case {"step": "review", "task_id": str(task_id), "run": int(run)}:
            return await services.runner().review(task_id, run)
        case {"step": "finish", "task_id": str(task_id), "run": int(run)}:
            return await services.runner().finish(task_id, run)
        case {"step": "fail", "task_id": str(task_id), "run": int(run), "failure": dict(failure)}:
            return await services.runner().fail(task_id, run, failure)
        case {"step": "open_escalation", "escalation_id": str(escalation_id)}:
            return await services.escalations().open(escalation_id)
        case {"step": "await_decision", "escalation_id": str(escalation_id), "token": str(token)}:
            await services.escalations().await_decision(escalation_id, token)
        case {"step": "expire_escalation", "escalation_id": str(escalation_id)}:
            return await services.escalations().expire(escalation_id)
        case {"step": "rerun", "escalation_id": str(escalation_id)}:
            await services.escalations().rerun(escalation_id)
        case _:
            raise ValueError(f"there is no such step: {event.get('step')!r}")
    return {}
