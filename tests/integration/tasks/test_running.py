"""Tasks that run: from being created to their end, in the emulator's state machines."""

from collections import Counter

import workflow.app
from tests.conftest import Stack
from tests.integration.tasks.conftest import MakeCaller, ended, told_of
from tests.processes import eventually

LOGIN = {
    "title": "Add a page that lists orders",
    "description": "It shows the newest first",
    "type": "implementation",
    "assignee_role": "implementer",
    "acceptance_criteria": ["Orders are listed", "The newest comes first", "There are tests"],
}


def test_a_task_that_names_a_role_is_completed_by_itself(caller: MakeCaller) -> None:
    ada = caller()
    identifier = ada.data("POST", "/v1/tasks", LOGIN)["id"]
    task = ended(ada, identifier)
    assert task["status"] == "completed", task
    assert task["progress"] == {"completed_steps": 3, "total_steps": 3, "percentage": 100}
    assert task["metadata"]["model_used"] == "builtin/echo"
    told = [event.type for event in told_of(identifier, 7)]
    assert told == ["task.created", "task.started", *["task.progress"] * 4, "task.completed"]


def test_each_step_pays_for_the_states_that_lead_to_the_next(caller: MakeCaller, stack: Stack) -> None:
    ada = caller()
    identifier = ada.data("POST", "/v1/tasks", LOGIN)["id"]
    ended(ada, identifier)
    engine = stack.endpoint.client("stepfunctions")
    machine = stack.system.deployed.environments["TasksFunction"]["TASK_MACHINE_ARN"]

    def over() -> str | None:
        every = engine.list_executions(stateMachineArn=machine)["executions"]
        return next(
            (
                str(each["executionArn"])
                for each in every
                if each["name"].startswith(identifier) and each["status"] == "SUCCEEDED"
            ),
            None,
        )

    events = engine.get_execution_history(executionArn=eventually(over), maxResults=1000)["events"]
    entered = Counter(each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each)
    assert entered["Begin"]
    paid = workflow.app.TRANSITIONS
    steps = {"Begin": "begin", "Plan": "plan", "Step": "work", "Review": "review", "Finish": "finish"}
    counted = sum(paid.get(step, 1) * entered[state] for state, step in steps.items()) + entered["Wait"]
    assert counted == entered.total(), entered
