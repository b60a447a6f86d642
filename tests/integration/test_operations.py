"""GET /health, and the refusal of paths that nobody serves: alike in-process, through the front, through Lambda."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.conftest import Stack
from tests.gateway import call

Ask = Callable[[str, str], tuple[int, Any]]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture(params=["handler", "front", "gateway"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """The three ways in."""
    if request.param == "handler":
        request.getfixturevalue("function_environment")
        from operations.app import handler

        def through_the_handler(method: str, path: str) -> tuple[int, Any]:
            answer = call(handler, method, path)
            return answer.status, answer.json()

        return through_the_handler
    if request.param == "front":
        base = request.getfixturevalue("front")

        def through_the_front(method: str, path: str) -> tuple[int, Any]:
            answer = requests.request(method, base + path, timeout=30)
            return answer.status_code, answer.json()

        return through_the_front
    stack: Stack = request.getfixturevalue("stack")

    def through_the_gateway(method: str, path: str) -> tuple[int, Any]:
        answer = stack.request(method, path)
        return answer.status_code, answer.json()

    return through_the_gateway


def test_health_answers_as_documented(ask: Ask) -> None:
    status, body = ask("GET", "/health")
    assert status == 200
    assert set(body) == {"status", "version", "timestamp"}
    assert body["status"] == "healthy"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", body["timestamp"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/api/v1/nowhere", {"status": "error", "error": "There is nothing at this path"}),
        ("/step/nowhere", {"detail": "There is nothing at this path"}),
        ("/agents/one/nowhere", {"detail": "There is nothing at this path"}),
        ("/", {"error": {"message": "There is nothing at this path", "type": "not_found_error"}}),
    ],
)
def test_an_unknown_path_is_refused_in_the_dialect_that_owns_it(
    ask: Ask, method: str, path: str, refusal: dict[str, Any]
) -> None:
    assert ask(method, path) == (404, refusal)


def test_an_unknown_kyros_path_is_refused_in_its_envelope(ask: Ask) -> None:
    status, body = ask("GET", "/v1/nowhere")
    assert (status, body["success"], body["error"]["code"]) == (404, False, "NOT_FOUND")


def test_a_wrong_method_is_refused_as_such(ask: Ask) -> None:
    assert ask("POST", "/health") == (405, {"detail": "This method is not allowed here"})
