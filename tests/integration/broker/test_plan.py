"""POST /v1/plan through the function's handler, on a fresh machine: broker.md's example, and every refusal."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from quintet.settings import settings
from tests.conftest import Stack
from tests.gateway import Answer, call

MESSAGES = [{"role": "user", "content": "Move the shop to a new server"}]
EXAMPLE: dict[str, Any] = {
    "request": {"messages": MESSAGES},
    "orchestration": {"mode": "adversarial", "primary_min_weight": 6, "review_min_weight": 9, "iterations": 2},
}


@pytest.fixture
def plan(stack: Stack, function_environment: None) -> Iterator[Any]:
    from broker.app import handler
    from quintet.gateway import live

    keys = stack.keys
    live.views.cache_clear()
    live.gateway.cache_clear()

    def ask(body: Any, *, key: str = "RYUZEN_KEY") -> Answer:
        content = body if isinstance(body, str) else json.dumps(body)
        return call(handler, "POST", "/v1/plan", headers={"X-Ryuzen-Key": keys.get(key, key)}, body=content)

    yield ask
    settings.cache_clear()


def orchestrated(**how: Any) -> dict[str, Any]:
    return {"request": {"messages": MESSAGES}, "orchestration": how}


def test_the_documents_example_is_planned_criticised_and_refined(plan: Any) -> None:
    answer = plan(EXAMPLE)
    assert answer.status == 200, answer.text
    told = answer.json()
    assert told["negotiated_model"] == "builtin/echo"
    assert told["estimated_cost_usd"] == 0
    assert told["routing_reason"]
    response = told["response"]
    assert response["initial_plan"].endswith("Move the shop to a new server")
    assert len(response["critiques"]) == 2
    assert response["critique"] == response["critiques"][-1]
    assert response["refined_plan"]
    phases = told["decision"]["phases"]
    assert [each["phase"] for each in phases] == ["plan", "critique_1", "refine_1", "critique_2", "refine_2"]
    assert {each["status"] for each in phases} == {"ok"}
    assert len({each["call_id"] for each in phases}) == 5
    assert told["request_id"] == answer.headers["x-request-id"]


def test_without_orchestration_it_is_adversarial_and_twice(plan: Any) -> None:
    told = plan({"request": {"messages": MESSAGES}}).json()
    assert (told["decision"]["mode"], len(told["response"]["critiques"])) == ("adversarial", 2)


@pytest.mark.parametrize(
    ("how", "phases"),
    [
        ({"mode": "planning"}, ["plan"]),
        ({"mode": "refine", "iterations": 1}, ["plan", "refine_1"]),
        ({"mode": "adversarial", "iterations": 0}, ["plan", "critique_1", "refine_1"]),
        ({"mode": "vote", "votes": 2}, ["answer_1", "answer_2", "judge"]),
    ],
)
def test_every_mode_has_its_phases(plan: Any, how: dict[str, Any], phases: list[str]) -> None:
    told = plan(orchestrated(**how)).json()
    assert [each["phase"] for each in told["decision"]["phases"]] == phases
    assert told["response"]["refined_plan"]


def test_a_vote_tells_its_answers_and_which_won(plan: Any) -> None:
    told = plan(orchestrated(mode="vote")).json()["response"]
    assert (len(told["answers"]), told["chosen"]) == (3, 1)
    assert told["verdict"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "bad json"),
        ({}, "messages required"),
        ({"request": {"messages": []}}, "messages required"),
        ({"request": {"messages": MESSAGES}, "orchestration": []}, "orchestration must be an object"),
        (orchestrated(mode="war"), "unknown orchestration mode: use one of adversarial, planning, refine, vote"),
        (orchestrated(mode=["vote"]), "unknown orchestration mode: use one of adversarial, planning, refine, vote"),
        (orchestrated(iterations=-1), "iterations must be a whole number between 0 and 10"),
        (orchestrated(iterations=11), "iterations must be a whole number between 0 and 10"),
        (orchestrated(iterations=1.5), "iterations must be a whole number between 0 and 10"),
        (orchestrated(iterations=True), "iterations must be a whole number between 0 and 10"),
        (orchestrated(votes=9), "votes must be a whole number between 2 and 5"),
        (orchestrated(primary_min_weight=11), "primary_min_weight must be between 0 and 10"),
        (orchestrated(review_min_weight=-1), "review_min_weight must be between 0 and 10"),
        ({**EXAMPLE, "policy": {"max_budget_usd": 101}}, "max_budget_usd must be between 0 and 100"),
    ],
)
def test_what_is_wrong_is_named(plan: Any, body: Any, message: str) -> None:
    answer = plan(body)
    assert (answer.status, answer.json()["error"]["message"]) == (400, message)


def test_a_phase_that_fails_is_named_with_what_was_made(plan: Any) -> None:
    answer = plan({**EXAMPLE, "capabilities": {"telepathy": True}})
    assert answer.status == 502
    error = answer.json()["error"]
    assert error["message"] == "phase plan failed: no eligible models"
    assert error["details"]["phase"] == "plan"
    assert error["details"]["excluded"]["builtin/echo"] == "cannot do: telepathy"
    assert error["details"]["response"]["initial_plan"] is None
    assert error["details"]["decision"]["phases"][0]["status"] == "error"


def test_a_viewer_may_not_plan(plan: Any) -> None:
    assert plan(EXAMPLE, key="VIEWER_KEY").status == 403
