"""kyros.md's configuration through its function: its own examples, versions, and settings that really act."""

from collections.abc import Iterator
from typing import Any

import pytest

from quintet.configuration import live
from quintet.configuration.model import SYSTEM
from quintet.configuration.store import DocumentItem
from tests.conftest import Stack
from tests.gateway import Answer, call

CHANGE = {
    "models": {"timeout": 600},
    "escalation": {"auto_approve_threshold": 0.9, "cost_threshold": 25.00},
    "monitoring": {"alert_enabled": True, "performance_tracking": True},
}


@pytest.fixture(scope="module")
def seeded(stack: Stack) -> dict[str, str]:
    return stack.keys


class Operator:
    def __init__(self, keys: dict[str, str]) -> None:
        self.keys = keys

    def __call__(self, method: str, path: str, key: str = "API_KEY", **options: Any) -> Answer:
        import identity.app
        import operations.app

        handler = identity.app.handler if "/auth/" in path else operations.app.handler
        headers = {"X-API-Key": self.keys[key], **options.pop("headers", {})}
        return call(handler, method, path, headers=headers, **options)

    def put(self, change: Any, **options: Any) -> Answer:
        return self("PUT", "/v1/configuration", json=change, **options)


@pytest.fixture
def operator(function_environment: None, seeded: dict[str, str]) -> Iterator[Operator]:
    """What a test said is unsaid after it: all tests of a session share the table."""
    yield Operator(seeded)
    for item in DocumentItem.query(SYSTEM):
        item.delete()
    live.forget()


def test_the_documents_change_is_laid_over_what_was(operator: Operator) -> None:
    answer = operator.put(CHANGE)
    assert answer.status == 200
    body = answer.json()
    assert set(body) == {"success", "data", "message", "timestamp", "request_id"}
    data = operator("GET", "/v1/configuration").json()["data"]
    assert data == body["data"]
    assert data["models"] == {
        "default_model": "glm-4.5",
        "escalation_model": "claude-4.1-opus",
        "fallback_model": "glm-4.5",
        "timeout": 600,
    }
    assert data["escalation"]["cost_threshold"] == 25.0
    assert data["security"]["max_login_attempts"] == 5


def test_an_unknown_key_is_named_by_its_path_in_the_documents_form(operator: Operator) -> None:
    answer = operator.put({"escalation": {"approval": True}})
    assert answer.status == 422
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["details"]["field"] == "escalation.approval"


@pytest.mark.parametrize("name", ["default_model", "escalation_model", "fallback_model"])
def test_a_model_that_the_catalogue_does_not_have_is_refused(operator: Operator, name: str) -> None:
    answer = operator.put({"models": {name: "gpt-99"}})
    assert answer.status == 422
    details = answer.json()["error"]["details"]
    assert details["field"] == f"models.{name}"
    assert "claude-4.1-opus, " in details["issue"]
    assert operator.put({"models": {name: "claude-4.1-opus"}}).status == 200


def test_versions_tell_who_said_what(operator: Operator) -> None:
    operator.put({"models": {"timeout": 601}})
    operator.put({"models": {"timeout": 602}})
    versions = operator("GET", "/v1/configuration/versions?limit=2").json()["data"]["versions"]
    assert [each["changed"]["models"]["timeout"] for each in versions] == [602, 601]
    assert versions[0]["version"] == versions[1]["version"] + 1
    assert versions[0]["changed_by"].startswith("user_")
    assert versions[0]["changed_at"]


def test_a_version_that_was_overtaken_is_not_written_over(operator: Operator) -> None:
    etag = operator("GET", "/v1/configuration").headers["etag"]
    assert operator.put({"models": {"timeout": 610}}, headers={"If-Match": etag}).status == 200
    assert operator.put({"models": {"timeout": 620}}, headers={"If-Match": etag}).status == 412


@pytest.mark.parametrize("key", ["RYUZEN_KEY", "VIEWER_KEY", "REVIEWER_KEY"])
def test_an_administrator_alone_changes_it(operator: Operator, key: str) -> None:
    assert operator("GET", "/v1/configuration", key=key).status == 200
    refused = operator.put(CHANGE, key=key)
    assert refused.status == 403
    assert "update_configuration" in refused.json()["error"]["message"]


def test_maintenance_keeps_changes_out_and_lets_itself_be_ended(operator: Operator) -> None:
    operator.put({"system": {"maintenance_mode": True}})
    refused = operator("POST", "/v1/tasks", json={})
    assert refused.status == 503
    assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert int(refused.headers["retry-after"]) > 0
    assert operator("GET", "/v1/configuration").status == 200
    assert operator.put({"system": {"maintenance_mode": False}}).status == 200
    assert operator("POST", "/v1/nowhere", json={}).status == 404


def test_tokens_live_as_long_as_configured(operator: Operator) -> None:
    login = {"username": operator.keys["ADMIN_USER"], "password": operator.keys["ADMIN_PASSWORD"]}
    operator.put({"security": {"jwt_expiration_hours": 2}})
    granted = operator("POST", "/v1/auth/login", json=login, ip="198.18.7.1")
    assert granted.json()["data"]["expires_in"] == 7200


def test_wrong_passwords_lock_as_early_as_configured(operator: Operator) -> None:
    operator.put({"security": {"max_login_attempts": 2}})
    guess = {"username": "nobody-there", "password": "wrong"}
    answers = [operator("POST", "/v1/auth/login", json=guess, ip=f"198.18.8.{n}").status for n in range(3)]
    assert answers == [401, 423, 423]
