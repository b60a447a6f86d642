"""The two functions in their own roles, through API Gateway: what the template lets them do is enough."""

from typing import Any

import pytest

from tests.conftest import Stack
from tests.integration.tasks.conftest import configured
from tests.processes import eventually


@pytest.fixture
def keys(stack: Stack, function_environment: None) -> dict[str, str]:
    configured({"escalation": {"max_daily_escalations": 1000}})
    return stack.keys


def test_every_route_does_its_work_in_the_functions_own_role(stack: Stack, keys: dict[str, str]) -> None:
    def ask(method: str, path: str, body: Any = None, key: str = "RYUZEN_KEY", **headers: str) -> Any:
        sent = {"X-API-Key": keys[key], **headers}
        answer = stack.request(method, path, json=body, headers=sent)
        assert answer.status_code < 300, answer.text
        return answer.json()["data"]

    tags = ["role", *(f"role-{number}" for number in range(15))]  # its changes are more than a transaction takes
    first = ask("POST", "/v1/tasks", {"title": "one", "tags": tags}, **{"Idempotency-Key": "roles"})["id"]
    new = {"title": "two", "assignee_role": "implementer", "dependencies": [first]}
    second = ask("POST", "/v1/tasks", new)["id"]
    assert ask("GET", "/v1/tasks?tags=role&sort_by=priority")["pagination"]["total"] >= 1
    ask("PUT", f"/v1/tasks/{first}", {"priority": "high"})
    ask("POST", "/v1/agents/implementer/submit", {"task_id": first, "preferences": {"timeout": 60}})
    assert eventually(lambda: ask("GET", f"/v1/tasks/{second}")["status"] == "completed")
    assert ask("GET", f"/v1/tasks/{first}/steps")["steps"]
    ask("GET", "/v1/agents/implementer/status")
    ask("PUT", "/v1/agents/critic/configuration", {"preferences": {"max_tokens": 1999}})
    ask("GET", "/v1/agents/critic/configuration")
    ask("GET", "/v1/models")
    ask("GET", "/v1/models/builtin/echo")
    ask("POST", "/v1/models/select", {"task_description": "Rename a button"})
    ended = ask("POST", "/v1/escalation/submit", {"task_id": first, "reason": "again", "target_model": "builtin/echo"})
    path = f"/v1/escalation/{ended['escalation_id']}"
    ask("POST", f"{path}/approve", {"decision": "approved"}, "REVIEWER_KEY")
    assert eventually(lambda: ask("GET", f"{path}/status")["status"] == "completed")
    assert ask("GET", "/v1/escalations?status=completed")["pagination"]["total"] >= 1
    third = ask("POST", "/v1/tasks", {"title": "three", "assignee_role": "critic"})["id"]
    assert ask("DELETE", f"/v1/tasks/{third}", {"reason": "enough"})["status"] == "cancelled"
    assert stack.invoke("WorkflowFunction", {})["looked_at"] >= 0
