"""Tasks that run: from being created to their end, in the emulator's state machines."""

from tests.integration.tasks.conftest import MakeCaller, ended, told_of

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
