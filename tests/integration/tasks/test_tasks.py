"""Tasks as kyros.md describes them: every field, every status."""

from typing import Any

import pytest

from quintet.http.cursors import cursor_of
from tests.examples import like
from tests.integration.tasks.conftest import MakeCaller, told_of

TASK = {
    "title": "Implement user authentication",
    "description": "Add JWT-based authentication system with OAuth2 integration",
    "type": "implementation",
    "priority": "high",
    "assignee_role": "implementer",
    "files_to_modify": ["services/orchestrator/auth.py", "services/console/src/auth/index.ts"],
    "acceptance_criteria": [
        "Users can register with email/password",
        "OAuth2 integration works with Google",
        "JWT tokens are properly validated",
        "Refresh token mechanism implemented",
    ],
    "dependencies": [],
    "tags": ["authentication", "security", "backend"],
    "deadline": "2024-01-20T23:59:59Z",
    "metadata": {"estimated_hours": 8, "complexity": "medium", "auto_start": False},
}


def test_the_documents_task_is_created_and_read(caller: MakeCaller) -> None:
    ada = caller()
    answer = ada("POST", "/v1/tasks", TASK)
    assert answer.status == 201, answer.text
    created = answer.json()
    assert created["success"] is True
    data = created["data"]
    assert data == {
        "id": data["id"],
        "title": TASK["title"],
        "status": "pending",
        "created_at": data["created_at"],
        "created_by": ada.id,
        "assignee_role": "implementer",
        "priority": "high",
        "estimated_hours": 8,
        "deadline": "2024-01-20T23:59:59Z",
    }
    assert answer.headers["location"] == f"/v1/tasks/{data['id']}"


def test_a_task_is_read_with_all_its_fields(caller: MakeCaller) -> None:
    ada = caller()
    identifier = ada.data("POST", "/v1/tasks", TASK)["id"]
    example = {
        "id": "task_123456",
        "title": "Implement user authentication",
        "description": "Add JWT-based authentication system with OAuth2 integration",
        "type": "implementation",
        "status": "in_progress",
        "priority": "high",
        "assignee_role": "implementer",
        "created_at": "2024-01-15T10:30:00Z",
        "updated_at": "2024-01-15T11:00:00Z",
        "created_by": "user_123",
        "files_to_modify": ["services/orchestrator/auth.py"],
        "acceptance_criteria": ["Users can register with email/password"],
        "progress": {"completed_steps": 2, "total_steps": 4, "percentage": 50},
        "results": {"files_modified": 2, "tests_added": 4, "documentation_updated": True},
    }
    task = ada.data("GET", f"/v1/tasks/{identifier}")
    assert like(example, {name: task[name] for name in example})
    assert {name: task[name] for name in TASK} == TASK
    assert task["assigned_to"] is None


def test_the_documents_list(caller: MakeCaller) -> None:
    ada = caller()
    first, second = (ada.data("POST", "/v1/tasks", TASK | {"title": title})["id"] for title in ("one", "two"))
    data = ada.data("GET", f"/v1/tasks?created_by={ada.id}&status=pending&type=implementation&tags=backend,security")
    assert [task["id"] for task in data["tasks"]] == [second, first]
    pagination = {"total": 2, "limit": 50, "offset": 0, "has_more": False, "next_cursor": None}
    assert data["pagination"] == pagination
    shown = {"id", "title", "status", "type", "priority", "assignee_role", "created_at", "deadline"}
    assert data["tasks"][0].keys() >= shown


def test_pages_by_offset_and_by_cursor_agree(caller: MakeCaller) -> None:
    ada = caller()
    made = [ada.data("POST", "/v1/tasks", {"title": f"task {number}"})["id"] for number in range(5)]
    first = ada.data("GET", f"/v1/tasks?created_by={ada.id}&limit=2&sort_order=asc")
    assert first["pagination"]["has_more"]
    assert first["pagination"]["total"] == 5
    cursor = first["pagination"]["next_cursor"]
    by_cursor = ada.data("GET", f"/v1/tasks?created_by={ada.id}&limit=2&sort_order=asc&cursor={cursor}")
    by_offset = ada.data("GET", f"/v1/tasks?created_by={ada.id}&limit=2&sort_order=asc&offset=2")
    assert [task["id"] for task in by_cursor["tasks"]] == made[2:4]
    assert by_cursor["tasks"] == by_offset["tasks"]


def test_deadlines_of_all_times_are_in_order_page_by_page(caller: MakeCaller) -> None:
    ada = caller()
    moments = ["1950-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "4000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    made = [ada.data("POST", "/v1/tasks", TASK | {"deadline": moment})["id"] for moment in reversed(moments)]
    found: list[str] = []
    path = f"/v1/tasks?created_by={ada.id}&sort_by=deadline&sort_order=asc&limit=1"
    cursor = None
    for _ in made:
        page = ada.data("GET", f"{path}&cursor={cursor}" if cursor else path)
        found += [task["id"] for task in page["tasks"]]
        cursor = page["pagination"]["next_cursor"]
    assert found == made[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (f"tags={','.join(map(str, range(17)))}", "tags"),
        (f"cursor={cursor_of('1|000000000000000#task_1')}&sort_by=deadline", "cursor"),
        ("status=done", "status"),
        ("type=magic", "type"),
        ("priority=urgent", "priority"),
        ("assignee_role=boss", "assignee_role"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("offset=-1", "offset"),
        ("sort_by=title", "sort_by"),
        ("sort_order=up", "sort_order"),
        ("cursor=%00", "cursor"),
        ("cursor=task_1", "cursor"),
        (f"cursor={cursor_of('0|task_1')}&tags=a&sort_by=priority", "cursor"),
    ],
)
def test_a_list_refuses_what_it_does_not_know(caller: MakeCaller, query: str, field: str) -> None:
    answer = caller()("GET", f"/v1/tasks?{query}")
    assert answer.status == 422
    error = answer.json()["error"]
    assert (error["code"], error["details"]["field"]) == ("VALIDATION_ERROR", field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": None}, "title"),
        ({"priority": "urgent"}, "priority"),
        ({"tags": ["a,b"]}, "tags.0"),
        ({"tags": [str(number) for number in range(17)]}, "tags"),
        ({"dependencies": ["task_nobody"]}, "dependencies"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"nonsense": 1}, "nonsense"),
        ({"metadata": {"x": "y" * 40_000}}, "metadata"),
    ],
)
def test_a_task_that_breaks_a_rule_is_refused(caller: MakeCaller, change: dict[str, Any], field: str) -> None:
    answer = caller()("POST", "/v1/tasks", TASK | change)
    assert answer.status == 422
    assert answer.json()["error"]["details"]["field"] == field


def test_the_documents_validation_error(caller: MakeCaller) -> None:
    error = caller()("POST", "/v1/tasks", TASK | {"priority": "urgent"}).json()["error"]
    assert error == {
        "code": "VALIDATION_ERROR",
        "message": "Request validation failed",
        "details": {"field": "priority", "issue": "Must be one of: low, medium, high, critical"},
    }


def test_an_unknown_task_is_not_found(caller: MakeCaller) -> None:
    ada = caller()
    assert ada.refused("GET", "/v1/tasks/task_nobody") == (404, "TASK_NOT_FOUND")
    assert ada.refused("PUT", "/v1/tasks/task_nobody", {"title": "x"}) == (404, "TASK_NOT_FOUND")
    assert ada.refused("DELETE", "/v1/tasks/task_nobody") == (404, "TASK_NOT_FOUND")


def test_a_viewer_reads_and_does_no_more(caller: MakeCaller) -> None:
    identifier = caller().data("POST", "/v1/tasks", TASK)["id"]
    viewer = caller("viewer")
    assert viewer.data("GET", f"/v1/tasks/{identifier}")["id"] == identifier
    assert viewer.refused("POST", "/v1/tasks", TASK) == (403, "FORBIDDEN")
    assert viewer.refused("DELETE", f"/v1/tasks/{identifier}") == (403, "FORBIDDEN")


def test_an_idempotency_key_makes_one_task(caller: MakeCaller) -> None:
    ada = caller()
    first = ada.data("POST", "/v1/tasks", TASK, Idempotency_Key="k1")
    again = ada.data("POST", "/v1/tasks", TASK, Idempotency_Key="k1")
    assert again == first
    assert ada.refused("POST", "/v1/tasks", TASK | {"title": "other"}, Idempotency_Key="k1")[0] == 422
    assert ada.data("GET", f"/v1/tasks?created_by={ada.id}")["pagination"]["total"] == 1
    assert caller().data("POST", "/v1/tasks", TASK, Idempotency_Key="k1")["id"] != first["id"]


def test_the_documents_update_goes_through_the_life_of_a_task(caller: MakeCaller) -> None:
    ada = caller()
    identifier = ada.data("POST", "/v1/tasks", TASK)["id"]
    path = f"/v1/tasks/{identifier}"
    results = {"files_modified": 3, "tests_added": 6, "documentation_updated": True, "code_quality_score": 95}
    feedback = "Implementation completed successfully. All tests passing."
    done = {"status": "completed", "results": results, "feedback": feedback}
    assert ada.refused("PUT", path, done) == (409, "CONFLICT")
    progress = {"completed_steps": 2, "total_steps": 4}
    begun = ada.data("PUT", path, {"status": "in_progress", "progress": progress})
    assert begun["progress"] == {**progress, "percentage": 50}
    ended = ada.data("PUT", path, done)
    assert (ended["status"], ended["results"], ended["feedback"]) == ("completed", results, feedback)
    assert ended["ended_at"] is not None
    assert ada.refused("PUT", path, {"status": "in_progress"}) == (409, "CONFLICT")
    assert ada.refused("DELETE", path) == (409, "CONFLICT")


def test_cancelling_says_why_and_may_be_repeated(caller: MakeCaller) -> None:
    ada = caller()
    path = f"/v1/tasks/{ada.data('POST', '/v1/tasks', TASK)['id']}"
    reason = {"reason": "No longer needed due to requirement changes"}
    cancelled = ada.data("DELETE", path, reason)
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", reason["reason"])
    assert ada.data("DELETE", path)["reason"] == reason["reason"]


def test_a_task_that_no_item_can_hold_is_refused(caller: MakeCaller) -> None:
    ada = caller()
    large = {"description": "\u0001" * 50_000, "acceptance_criteria": ["\u0001" * 2000] * 50}
    assert ada.refused("POST", "/v1/tasks", TASK | large) == (413, "PAYLOAD_TOO_LARGE")
    path = f"/v1/tasks/{ada.data('POST', '/v1/tasks', TASK)['id']}"
    assert ada.refused("PUT", path, large) == (413, "PAYLOAD_TOO_LARGE")


def test_a_stale_etag_changes_nothing(caller: MakeCaller) -> None:
    ada = caller()
    path = f"/v1/tasks/{ada.data('POST', '/v1/tasks', TASK)['id']}"
    etag = ada("GET", path).headers["etag"]
    for known in (etag, "*", f'"0", W/{etag}'):
        assert ada("GET", path, if_none_match=known).status == 304
    assert ada("PUT", path, {"priority": "medium"}, if_match='"7", "8"').status == 412
    assert ada("PUT", path, {"priority": "low"}, if_match=etag).status == 200
    assert ada.refused("PUT", path, {"priority": "high"}, if_match=etag) == (412, "PRECONDITION_FAILED")
    assert ada.refused("DELETE", path, if_match=etag) == (412, "PRECONDITION_FAILED")
    assert ada.data("GET", path)["priority"] == "low"


def test_dependencies_that_lead_back_are_refused(caller: MakeCaller) -> None:
    ada = caller()
    one = ada.data("POST", "/v1/tasks", TASK)["id"]
    two = ada.data("POST", "/v1/tasks", TASK | {"dependencies": [one]})["id"]
    three = ada.data("POST", "/v1/tasks", TASK | {"dependencies": [two]})["id"]
    assert ada.refused("PUT", f"/v1/tasks/{one}", {"dependencies": [three]}) == (422, "VALIDATION_ERROR")
    assert ada.refused("PUT", f"/v1/tasks/{one}", {"dependencies": [one]}) == (422, "VALIDATION_ERROR")


def test_every_change_is_told_on_the_platform_topic(caller: MakeCaller) -> None:
    ada = caller()
    path = f"/v1/tasks/{ada.data('POST', '/v1/tasks', TASK)['id']}"
    ada.data("PUT", path, {"status": "in_progress"})
    ada.data("PUT", path, {"progress": {"completed_steps": 3, "total_steps": 5}})
    ada.data("DELETE", path, {"reason": "enough"})
    told = told_of(path.rpartition("/")[2], 4)
    assert [event.type for event in told] == ["task.created", "task.started", "task.progress", "task.cancelled"]
    progress = told[2].data
    assert progress["task_id"] == path.rpartition("/")[2]
    assert progress["progress"] == {"completed_steps": 3, "total_steps": 5, "percentage": 60}
    assert progress["estimated_completion"] is not None
    assert told[3].data["error"] == "enough"


def test_a_change_of_everything_at_once_moves_the_task_in_every_list(caller: MakeCaller) -> None:
    """It is more than one transaction takes."""
    ada = caller()
    tags = [f"{ada.id[-6:]}-{number}" for number in range(32)]
    identifier = ada.data("POST", "/v1/tasks", TASK | {"tags": tags[:16]})["id"]
    change = {"status": "in_progress", "type": "review", "priority": "low", "assignee_role": "critic"}
    ada.data("PUT", f"/v1/tasks/{identifier}", {**change, "tags": tags[16:], "deadline": "2030-01-01T00:00:00Z"})
    mine = f"created_by={ada.id}"
    for query in ("status=in_progress", "type=review", "priority=low", "assignee_role=critic", f"tags={tags[20]}"):
        found = ada.data("GET", f"/v1/tasks?{query}&limit=200")
        assert identifier in [task["id"] for task in found["tasks"]], query
        assert ada.data("GET", f"/v1/tasks?{query}&{mine}")["pagination"]["total"] == 1, query
    for query in ("status=pending", "type=implementation", "priority=high", f"tags={tags[0]}"):
        assert ada.data("GET", f"/v1/tasks?{query}&{mine}")["pagination"]["total"] == 0, query
        found = ada.data("GET", f"/v1/tasks?{query}&limit=200")
        assert identifier not in [task["id"] for task in found["tasks"]], query
