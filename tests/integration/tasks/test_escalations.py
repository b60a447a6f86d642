"""Escalations: who may ask, who may decide, and what becomes of the task."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from quintet.http.entry import kept_loop
from quintet.identity.minting import minted
from quintet.identity.model import ROLES, Principal, PrincipalKind
from quintet.identity.tokens import keyring
from quintet.store.clock import SystemClock
from quintet.tasks.escalation import Stage
from quintet.tasks.store import escalations as table
from tests.conftest import Stack
from tests.examples import like
from tests.integration.tasks.conftest import Caller, MakeCaller, configured, ended, in_catalogue, told_of
from tests.processes import eventually

REQUEST = {
    "original_model": "glm-4.5",
    "target_model": "claude-4.1-opus",
    "reason": "Security-critical authentication implementation with OAuth2 and SAML integration",
    "context": {
        "security_impact": "high",
        "complexity_score": 0.85,
        "business_critical": True,
        "files_affected": ["auth.py", "security/"],
    },
    "estimated_cost": 15.00,
    "priority": "high",
}
APPROVAL = {
    "decision": "approved",
    "reason": "Security-critical task with high business impact",
    "approver_comments": "Approved due to security complexity and business criticality",
}
REJECTION = {"decision": "rejected", "reason": "Too dear"}


@pytest.fixture(scope="module")
def fresh_workers(stack: Stack) -> None:
    """Functions know a configuration for ten seconds: new processes read it anew."""
    stack.system.deployment.renew_code()


@pytest.fixture(autouse=True)
def _plenty(function_environment: None, fresh_workers: None) -> None:
    in_catalogue("glm-4.5", "claude-4.1-opus")
    configured({"escalation": {"max_daily_escalations": 1000}})


def asked(caller: Caller, **more: Any) -> dict[str, Any]:
    """An escalation of a task that nobody works on."""
    task = caller.data("POST", "/v1/tasks", {"title": "List orders"})["id"]
    data: dict[str, Any] = caller.data("POST", "/v1/escalation/submit", {"task_id": task, **REQUEST, **more})
    return data


def standing(caller: Caller, identifier: str, status: str) -> dict[str, Any]:
    """The escalation, once it has this status."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = caller.data("GET", f"/v1/escalation/{identifier}/status")
        return found if found["status"] == status else None

    return eventually(look)


def test_the_documents_request_waits_for_somebody(caller: MakeCaller) -> None:
    data = asked(caller())
    assert like(
        {
            "escalation_id": "esc_123456",
            "task_id": "task_123456",
            "status": "pending_approval",
            "submitted_at": "2024-01-15T10:30:00Z",
            "estimated_cost": 15.00,
            "approval_required": True,
            "workflow_id": "wf_123456",
        },
        data,
    )
    assert (data["status"], data["estimated_cost"], data["approval_required"]) == ("pending_approval", 15.0, True)


def test_a_task_and_a_reason_are_enough(caller: MakeCaller) -> None:
    """As the document's clients ask."""
    ada = caller()
    task = ada.data("POST", "/v1/tasks", {"title": "List orders"})["id"]
    data = ada.data("POST", "/v1/escalation/submit", {"task_id": task, "reason": "It is hard"})
    assert data["status"] == "pending_approval"
    shown = ada.data("GET", f"/v1/escalation/{data['escalation_id']}/status")
    assert (shown["original_model"], shown["target_model"]) == ("glm-4.5", "claude-4.1-opus")
    assert ada.refused("POST", "/v1/escalation/submit", {"task_id": task, "reason": "again"}) == (409, "CONFLICT")


def test_an_approved_one_runs_the_task_again_and_ends_with_its_cost(caller: MakeCaller) -> None:
    ada, rex = caller(), caller("reviewer")
    request = asked(ada)
    decided = rex.data("POST", f"/v1/escalation/{request['escalation_id']}/approve", APPROVAL)
    assert (decided["status"], decided["approved_by"]) == ("approved", rex.id)
    done = standing(ada, request["escalation_id"], "completed")
    example = {
        "escalation_id": "esc_123456",
        "task_id": "task_123456",
        "status": "approved",
        "original_model": "glm-4.5",
        "target_model": "claude-4.1-opus",
        "submitted_at": "2024-01-15T10:30:00Z",
        "approved_at": "2024-01-15T10:35:00Z",
        "approved_by": "user_456",
        "estimated_cost": 15.00,
        "actual_cost": 14.75,
        "result": "Task completed successfully with premium model",
    }
    assert like(example, {name: done[name] for name in example})
    assert done["result"] == example["result"]
    task = ada.data("GET", f"/v1/tasks/{request['task_id']}")
    assert (task["status"], task["escalation_id"]) == ("completed", request["escalation_id"])
    told = [event for event in told_of(request["task_id"], 7) if event.type.startswith("escalation.")]
    assert [event.type for event in told][:2] == ["escalation.requested", "escalation.approved"]
    assert told[1].data["approved_by"] == rex.id
    assert told[1].data["approved_at"] == done["approved_at"]


def test_a_rejected_one_leaves_the_task_alone(caller: MakeCaller) -> None:
    ada, rex = caller(), caller("reviewer")
    request = asked(ada)
    decided = rex.data("POST", f"/v1/escalation/{request['escalation_id']}/approve", REJECTION)
    assert (decided["status"], decided["approved_by"], decided["decided_by"]) == ("rejected", None, rex.id)
    assert ada.data("GET", f"/v1/tasks/{request['task_id']}")["status"] == "pending"


def test_a_decision_is_made_once(caller: MakeCaller) -> None:
    rex = caller("reviewer")
    path = f"/v1/escalation/{asked(caller())['escalation_id']}/approve"
    rex.data("POST", path, REJECTION)
    assert rex.refused("POST", path, APPROVAL) == (409, "CONFLICT")
    assert caller("admin").refused("POST", path, REJECTION) == (409, "CONFLICT")


def test_nobody_decides_on_what_they_asked_for(caller: MakeCaller) -> None:
    rex = caller("reviewer")
    request = asked(rex)
    assert rex.refused("POST", f"/v1/escalation/{request['escalation_id']}/approve", APPROVAL) == (403, "FORBIDDEN")


def test_nobody_asks_in_another_name_to_decide_in_their_own(caller: MakeCaller) -> None:
    rex = caller("reviewer")
    principal = Principal(rex.id, PrincipalKind.SERVICE, "key#rex", ROLES["reviewer"])
    now = SystemClock().now()
    disguised = replace(rex, key=keyring().sign(minted(principal, "somebody-else", timedelta(hours=1), now), now))
    task = disguised.data("POST", "/v1/tasks", {"title": "Under another name"})
    assert task["created_by"] == "somebody-else"
    request = disguised.data("POST", "/v1/escalation/submit", {"task_id": task["id"], "reason": "x"})
    assert rex.refused("POST", f"/v1/escalation/{request['escalation_id']}/approve", APPROVAL) == (403, "FORBIDDEN")


def test_a_developer_does_not_approve(caller: MakeCaller) -> None:
    path = f"/v1/escalation/{asked(caller())['escalation_id']}/approve"
    assert caller().refused("POST", path, APPROVAL) == (403, "FORBIDDEN")


def test_an_unknown_one_is_not_found(caller: MakeCaller) -> None:
    rex = caller("reviewer")
    assert rex.refused("GET", "/v1/escalation/esc_nobody/status") == (404, "NOT_FOUND")
    assert rex.refused("POST", "/v1/escalation/esc_nobody/approve", APPROVAL) == (404, "NOT_FOUND")
    unknown = {"task_id": "task_nobody", "reason": "x"}
    assert rex.refused("POST", "/v1/escalation/submit", unknown) == (404, "TASK_NOT_FOUND")


def test_a_model_that_is_not_there_is_refused(caller: MakeCaller) -> None:
    ada = caller()
    task = ada.data("POST", "/v1/tasks", {"title": "List orders"})["id"]
    wish = {"task_id": task, "reason": "x", "target_model": "nobody/nothing"}
    assert ada.refused("POST", "/v1/escalation/submit", wish) == (503, "MODEL_UNAVAILABLE")


def test_where_no_approval_is_required_it_runs_at_once(caller: MakeCaller) -> None:
    ada = caller()
    configured({"escalation": {"approval_required": False}})
    try:
        request = asked(ada)
    finally:
        configured({"escalation": {"approval_required": True}})
    assert (request["status"], request["approval_required"]) == ("approved", False)
    assert standing(ada, request["escalation_id"], "completed")["actual_cost"] == 0.0


def test_the_rules_escalate_a_task_by_themselves(caller: MakeCaller) -> None:
    """The document's own task: its words are about security, and the rules are sure enough."""
    ada = caller()
    title = {"title": "Implement user authentication", "description": "Add JWT authentication system"}
    identifier = ada.data("POST", "/v1/tasks", {**title, "assignee_role": "implementer"})["id"]
    task = ended(ada, identifier)
    assert task["status"] == "completed"
    assert task["escalation_id"] is not None
    escalation = standing(ada, task["escalation_id"], "completed")
    assert (escalation["approved_by"], escalation["requested_by"]) == ("system", "system")


def test_a_day_has_so_many_and_no_more(caller: MakeCaller) -> None:
    ada = caller()
    asked(ada)
    configured({"escalation": {"max_daily_escalations": 1}})
    task = ada.data("POST", "/v1/tasks", {"title": "List orders"})["id"]
    answer = ada("POST", "/v1/escalation/submit", {"task_id": task, "reason": "one too many"})
    assert answer.status == 400
    error = answer.json()["error"]
    assert error["code"] == "ESCALATION_REJECTED"
    assert error["message"].startswith("1 escalations")


def test_lists_are_filtered_and_paged(caller: MakeCaller) -> None:
    ada, rex = caller(), caller("reviewer")
    pending, rejected = asked(ada), asked(ada)
    rex.data("POST", f"/v1/escalation/{rejected['escalation_id']}/approve", REJECTION)
    assert _listed(ada, f"task_id={pending['task_id']}") == ([pending["escalation_id"]], 1)
    assert _listed(ada, f"task_id={pending['task_id']}&status=pending") == ([pending["escalation_id"]], 1)
    assert _listed(ada, f"task_id={rejected['task_id']}&status=pending") == ([], 0)
    assert _listed(ada, f"task_id={rejected['task_id']}&status=rejected") == ([rejected["escalation_id"]], 1)
    day = pending["submitted_at"][:10]
    assert _listed(ada, f"task_id={pending['task_id']}&from_date={day}&to_date={day}")[1] == 1
    assert _listed(ada, f"task_id={pending['task_id']}&to_date=2024-01-01")[1] == 0
    assert _listed(ada, "limit=1")[0] == [rejected["escalation_id"]]
    assert _listed(ada, "limit=1&offset=1")[0] == [pending["escalation_id"]]
    assert ada.refused("GET", "/v1/escalations?status=maybe") == (422, "VALIDATION_ERROR")
    assert ada.refused("GET", "/v1/escalations?from_date=tomorrow") == (422, "VALIDATION_ERROR")
    assert ada.refused("GET", "/v1/escalations?from_date=2027-01-01&to_date=2026-01-01") == (422, "VALIDATION_ERROR")
    assert _listed(ada, "from_date=5000-01-01&to_date=9999-12-31")[1] == 0
    assert _listed(ada, "from_date=1900-01-01&to_date=1960-01-01")[1] == 0


def test_one_that_nobody_decides_on_expires(stack: Stack, caller: MakeCaller) -> None:
    """The execution's own clock runs for a day: here its state is asked to expire, and the sweep does it as well."""
    ada, rex = caller(), caller("reviewer")
    by_machine, by_sweep = asked(ada)["escalation_id"], asked(ada)["escalation_id"]
    stack.invoke("WorkflowFunction", {"step": "expire_escalation", "escalation_id": by_machine, "run": 1})
    assert ada.data("GET", f"/v1/escalation/{by_machine}/status")["status"] == "expired"
    known = kept_loop().run_until_complete(table.find(by_sweep))
    assert known is not None
    _until_waiting(by_sweep)
    known = kept_loop().run_until_complete(table.find(by_sweep))
    assert known is not None
    table.change(known, known.changed(expires_at=SystemClock().now() - timedelta(seconds=1)))
    assert rex.refused("POST", f"/v1/escalation/{by_sweep}/approve", APPROVAL) == (409, "CONFLICT")
    stack.invoke("WorkflowFunction", {})
    assert ada.data("GET", f"/v1/escalation/{by_sweep}/status")["status"] == "expired"
    assert rex.refused("POST", f"/v1/escalation/{by_machine}/approve", APPROVAL) == (409, "CONFLICT")


def test_a_decision_counts_even_if_whoever_waited_for_it_is_gone(stack: Stack, caller: MakeCaller) -> None:
    """As after a restart of everything: the executions are over, the tables are not."""
    ada, rex = caller(), caller("reviewer")
    request = asked(ada)
    _until_waiting(request["escalation_id"])
    states = stack.endpoint.client("stepfunctions")
    machine = stack.system.deployed.environments["TasksFunction"]["ESCALATION_MACHINE_ARN"]
    execution = machine.replace(":stateMachine:", ":execution:") + f":{request['escalation_id']}-1"
    states.stop_execution(executionArn=execution)
    known = kept_loop().run_until_complete(table.find(request["escalation_id"]))
    assert known is not None
    table.change(known, known.changed(token="00000000-0000-0000-0000-000000000000"))
    rex.data("POST", f"/v1/escalation/{request['escalation_id']}/approve", APPROVAL)
    assert standing(ada, request["escalation_id"], "completed")["status"] == Stage.COMPLETED


def _until_waiting(identifier: str) -> None:
    """An execution waits for the decision."""
    eventually(lambda: (known := kept_loop().run_until_complete(table.find(identifier))) and known.token)


def _listed(caller: Caller, query: str) -> tuple[list[str], int]:
    data = caller.data("GET", f"/v1/escalations?{query}")
    return [each["escalation_id"] for each in data["escalations"]], data["pagination"]["total"]
