"""Agents as kyros.md describes them: submit, status, configuration."""

from typing import Any

import pytest

from tests.examples import like
from tests.integration.tasks.conftest import Caller, MakeCaller, ended, in_catalogue

SUBMISSION = {
    "context": {
        "repository_state": "main branch at commit abc123",
        "recent_changes": ["feat: Added user model", "fix: Fixed authentication bug"],
        "team_context": {
            "team_size": 5,
            "active_sprints": ["Sprint 12"],
            "code_standards": "Follow PEP 8 and ESLint rules",
        },
    },
    "preferences": {"model": "glm-4.5", "temperature": 0.7, "max_tokens": 2000, "timeout": 300},
}


@pytest.fixture(autouse=True)
def _models(function_environment: None) -> None:
    in_catalogue("glm-4.5", "claude-4.1-opus")


def new_task(caller: Caller, **more: Any) -> str:
    identifier: str = caller.data("POST", "/v1/tasks", {"title": "List orders", **more})["id"]
    return identifier


def test_the_documents_submission_is_accepted_and_done(caller: MakeCaller) -> None:
    ada = caller()
    task = new_task(ada)
    answer = ada("POST", "/v1/agents/implementer/submit", {"task_id": task, **SUBMISSION})
    assert answer.status == 202, answer.text
    data = answer.json()["data"]
    assert like(
        {
            "submission_id": "sub_123456",
            "task_id": "task_123456",
            "role": "implementer",
            "agent_id": "agent_implementer_123",
            "status": "accepted",
            "estimated_duration": 600,
            "model_assigned": "glm-4.5",
            "submitted_at": "2024-01-15T10:30:00Z",
        },
        data,
    )
    assert (data["role"], data["status"], data["model_assigned"]) == ("implementer", "accepted", "glm-4.5")
    done = ended(ada, task)
    assert (done["status"], done["assigned_to"], done["assignee_role"]) == (
        "completed",
        data["agent_id"],
        "implementer",
    )


def test_submitting_a_task_that_has_begun_by_itself_attaches_to_it(caller: MakeCaller) -> None:
    """As the document's clients do: they create a task that names its role, then submit it."""
    ada = caller()
    before = new_task(ada)  # without which it cannot be over before it is submitted twice
    task = new_task(ada, assignee_role="implementer", dependencies=[before])
    first = ada.data("POST", "/v1/agents/implementer/submit", {"task_id": task, "context": {"repository_state": "x"}})
    again = ada.data("POST", "/v1/agents/implementer/submit", {"task_id": task, "context": {"more": "y"}})
    assert first["submission_id"] == again["submission_id"]
    ada.data("POST", "/v1/agents/implementer/submit", {"task_id": before})
    assert ended(ada, task)["status"] == "completed"
    assert ada.refused("POST", "/v1/agents/implementer/submit", {"task_id": task}) == (409, "CONFLICT")


@pytest.mark.parametrize("role", ["architect", "critic", "integrator"])
def test_every_role_works(caller: MakeCaller, role: str) -> None:
    ada = caller()
    task = new_task(ada)
    ada.data("POST", f"/v1/agents/{role}/submit", {"task_id": task})
    assert ended(ada, task)["status"] == "completed"


def test_what_cannot_be_submitted(caller: MakeCaller) -> None:
    ada = caller()
    task = new_task(ada)
    assert ada.refused("POST", "/v1/agents/boss/submit", {"task_id": task}) == (404, "NOT_FOUND")
    nobody = {"task_id": "task_nobody"}
    assert ada.refused("POST", "/v1/agents/critic/submit", nobody) == (404, "TASK_NOT_FOUND")
    dreamt = {"task_id": task, "preferences": {"model": "nobody/nothing"}}
    assert ada.refused("POST", "/v1/agents/critic/submit", dreamt) == (503, "MODEL_UNAVAILABLE")
    hot = {"task_id": task, "preferences": {"temperature": 3}}
    assert ada.refused("POST", "/v1/agents/critic/submit", hot) == (422, "VALIDATION_ERROR")
    assert caller("viewer").refused("POST", "/v1/agents/critic/submit", {"task_id": task}) == (403, "FORBIDDEN")


def test_a_task_waits_for_what_it_depends_on(caller: MakeCaller) -> None:
    ada = caller()
    one = new_task(ada)
    two = new_task(ada, assignee_role="implementer", dependencies=[one])
    three = new_task(ada, assignee_role="implementer", dependencies=[two])
    assert ada.data("GET", f"/v1/tasks/{two}")["status"] == "pending"
    ada.data("POST", "/v1/agents/implementer/submit", {"task_id": one})
    assert [ended(ada, task)["status"] for task in (one, two, three)] == ["completed"] * 3
    begun = [ada.data("GET", f"/v1/tasks/{task}")["started_at"] for task in (one, two, three)]
    assert begun == sorted(begun)


def test_a_task_fails_with_what_it_depends_on(caller: MakeCaller) -> None:
    ada = caller()
    one = new_task(ada)
    two = new_task(ada, assignee_role="implementer", dependencies=[one])
    ada.data("DELETE", f"/v1/tasks/{one}", {"reason": "no longer needed"})
    task = ended(ada, two)
    assert task["status"] == "failed"
    assert one in task["error"]


def test_the_documents_status_is_counted(caller: MakeCaller) -> None:
    ada = caller()
    before = ada.data("GET", "/v1/agents/architect/status")
    given = new_task(ada, assignee_role="architect", dependencies=[new_task(ada)])
    waiting = ada.data("GET", "/v1/agents/architect/status")
    assert waiting["queue_length"] == before["queue_length"] + 1
    ada.data("DELETE", f"/v1/tasks/{given}")
    assert ada.data("GET", "/v1/agents/architect/status")["queue_length"] == before["queue_length"]
    task = new_task(ada)
    ada.data("POST", "/v1/agents/architect/submit", {"task_id": task})
    ended(ada, task)
    after = ada.data("GET", "/v1/agents/architect/status")
    assert after["performance"]["tasks_completed_today"] == before["performance"]["tasks_completed_today"] + 1
    assert after["current_models"] == {"builtin/echo": 100}
    assert like(
        {
            "role": "implementer",
            "available_agents": 3,
            "active_tasks": 2,
            "queue_length": 1,
            "average_response_time": 45.2,
            "success_rate": 98.5,
            "current_models": {"builtin/echo": 95},
            "performance": {"tasks_completed_today": 15, "average_task_duration": 8.5, "cost_per_task": 0.85},
        },
        after,
    )
    assert ada.refused("GET", "/v1/agents/boss/status") == (404, "NOT_FOUND")


def test_the_documents_configuration_is_read_and_changed(caller: MakeCaller) -> None:
    ada = caller()
    path = "/v1/agents/implementer/configuration"
    shown = ada.data("GET", path)
    assert like(
        {
            "role": "implementer",
            "default_model": "glm-4.5",
            "available_models": ["glm-4.5", "claude-4.1-opus"],
            "capabilities": ["code_implementation", "test_creation", "bug_fixes", "documentation_updates"],
            "preferences": {"temperature": 0.7, "max_tokens": 2000, "timeout": 300},
            "constraints": {
                "max_files_per_task": 10,
                "max_diff_size": 500,
                "allowed_file_types": [".py", ".js", ".ts", ".md"],
            },
            "escalation_rules": {
                "security_threshold": 0.8,
                "complexity_threshold": 0.7,
                "business_impact_threshold": 0.6,
            },
        },
        shown,
        more=("enabled",),
    )
    assert shown["capabilities"] == ["code_implementation", "test_creation", "bug_fixes", "documentation_updates"]
    change = {
        "default_model": "glm-4.5",
        "preferences": {"temperature": 0.8, "max_tokens": 2500, "timeout": 600},
        "escalation_rules": {"security_threshold": 0.9, "complexity_threshold": 0.8},
    }
    changed = ada.data("PUT", path, change)
    assert changed["preferences"] == change["preferences"]
    rules = {"security_threshold": 0.9, "complexity_threshold": 0.8, "business_impact_threshold": 0.6}
    assert changed["escalation_rules"] == rules
    assert ada.data("GET", path) == changed
    answer = ada("PUT", path, {"preferences": {"temperature": "warm"}})
    assert answer.status == 422
    assert answer.json()["error"]["details"]["field"] == "preferences.temperature"
    assert ada.refused("PUT", path, {"colour": "blue"}) == (422, "VALIDATION_ERROR")
    unknown = ada("PUT", path, {"default_model": "gpt-99"})
    assert (unknown.status, unknown.json()["error"]["details"]["field"]) == (422, "default_model")
    assert caller("viewer").refused("PUT", path, change) == (403, "FORBIDDEN")
    ada.data("PUT", path, {"preferences": {"timeout": 300}, "escalation_rules": {"security_threshold": 0.8}})


def test_a_role_that_is_switched_off_takes_nothing(caller: MakeCaller) -> None:
    ada = caller()
    path = "/v1/agents/integrator/configuration"
    ada.data("PUT", path, {"enabled": False})
    try:
        refused = ada("POST", "/v1/agents/integrator/submit", {"task_id": new_task(ada)})
        assert (refused.status, refused.json()["error"]["code"]) == (503, "AGENT_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) > 0
    finally:
        ada.data("PUT", path, {"enabled": True})
