"""POST /v1/chat through the function's handler, on a fresh machine: broker.md's example, and every refusal."""

import json
import secrets
from typing import Any

import pytest

from quintet.store import wire

EXAMPLE: dict[str, Any] = {
    "capabilities": {"planning": True},
    "policy": {"mode": "normal", "max_budget_usd": 0.05, "max_latency_ms": 20000, "min_weight": 6},
    "request": {
        "id": "req-123",
        "messages": [{"role": "user", "content": "Hello"}],
        "estimated_input_tokens": 123,
        "meta": {"client": "cli"},
    },
}
MESSAGES = [{"role": "user", "content": "Hello"}]


def hello(**more: Any) -> dict[str, Any]:
    return {"request": {"messages": MESSAGES}, **more}


def test_the_documents_example_is_answered_from_the_builtin_model(chat: Any) -> None:
    answer = chat(EXAMPLE)
    assert answer.status == 200, answer.text
    told = answer.json()
    assert told["negotiated_model"] == "builtin/echo"
    assert told["estimated_cost_usd"] == 0
    assert told["routing_reason"] == "mode=normal"
    assert told["response"]["choices"][0]["message"]["content"].endswith("Hello")
    assert told["usage"]["total_tokens"] > 0
    assert told["cost_usd"] == 0
    assert told["request_id"] == answer.headers["x-request-id"] == "req-123"
    assert told["decision"]["candidates"] == ["builtin/echo"]


def test_a_stream_tells_its_decision_its_chunks_and_its_usage(chat: Any) -> None:
    answer = chat({**EXAMPLE, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event for event in answer.text.split("\n\n") if event]
    assert events[0].startswith("event: decision\ndata: ")
    assert json.loads(events[0].split("data: ", 1)[1])["negotiated_model"] == "builtin/echo"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[1:-2]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks).endswith("Hello")
    assert events[-2].startswith("event: usage\n")
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "bad json"),
        ("", "bad json"),
        ("[]", "bad json"),
        (b"\xff", "bad json"),
        ('{"request": NaN}', "bad json"),
        ("[" * 100_000, "bad json"),
        ({}, "messages required"),
        ({"request": {}}, "messages required"),
        ({"request": {"messages": []}}, "messages required"),
        ({"request": {"messages": "Hello"}}, "request.messages must be a list of messages"),
        ({"request": []}, "request must be an object"),
        ({"request": {"messages": ["Hello"]}}, "request.messages[0] must be an object with a role and a content"),
        (
            {"request": {"messages": [{"role": "user"}]}},
            "request.messages[0].content must be text, or a list of parts that each have a type",
        ),
        (hello(policy={"max_budget_usd": -0.01}), "max_budget_usd must be between 0 and 100"),
        (hello(policy={"max_budget_usd": 100.01}), "max_budget_usd must be between 0 and 100"),
        (hello(policy={"max_budget_usd": 10**400}), "max_budget_usd must be between 0 and 100"),
        (hello(policy={"max_latency_ms": -1}), "max_latency_ms must be between 0 and 300000"),
        (hello(policy={"max_latency_ms": 300_001}), "max_latency_ms must be between 0 and 300000"),
        (hello(policy={"min_weight": -1}), "min_weight must be between 0 and 10"),
        (hello(policy={"min_weight": 10.5}), "min_weight must be between 0 and 10"),
        (
            {"request": {"messages": MESSAGES}, "policy": {"min_weight": "6"}},
            "min_weight must be a number between 0 and 10",
        ),
        ({"request": {"messages": MESSAGES}, "capabilities": ["planning"]}, "capabilities must be an object"),
        ({"request": {"messages": MESSAGES}, "stream": "yes"}, "stream must be true or false"),
        (
            {"request": {"messages": MESSAGES, "max_tokens": 0}},
            "request.max_tokens must be a whole number above 0",
        ),
    ],
)
def test_what_is_wrong_is_named(chat: Any, body: Any, message: str) -> None:
    answer = chat(body)
    assert (answer.status, answer.json()["error"]["message"]) == (400, message)


def test_a_mode_that_nobody_knows_is_normal(chat: Any) -> None:
    assert (
        chat({"request": {"messages": MESSAGES}, "policy": {"mode": "weird"}}).json()["routing_reason"] == "mode=normal"
    )


def test_a_capability_that_no_model_has_leaves_nothing_eligible(chat: Any) -> None:
    answer = chat({"request": {"messages": MESSAGES}, "capabilities": {"telepathy": True, "planning": False}})
    assert answer.status == 502
    error = answer.json()["error"]
    assert error["message"] == "no eligible models"
    assert error["details"]["excluded"]["builtin/echo"] == "cannot do: telepathy"


def test_a_model_that_there_is_not_is_not_found(chat: Any) -> None:
    answer = chat({"request": {"messages": MESSAGES, "model": "gpt-0"}})
    assert (answer.status, answer.json()["error"]["type"]) == (404, "model_not_found")


def test_a_directive_is_stripped(chat: Any) -> None:
    content = "@@quintet mode=cheap min_weight=3\nHello"
    told = chat({"request": {"messages": [{"role": "user", "content": content}]}}).json()
    assert told["routing_reason"] == "mode=cheap"
    assert "@@" not in told["response"]["choices"][0]["message"]["content"]


def test_a_warm_instance_talks_to_dynamodb_twice(chat: Any) -> None:
    """The reservation, which confirms the caller, and the record, which settles it."""
    chat(EXAMPLE)
    with wire.watched() as calls:
        assert chat(EXAMPLE).status == 200
    assert [each.operation for each in calls] == ["UpdateItem", "PutItem"]


def test_nobody_in_particular_is_refused(chat: Any) -> None:
    assert chat(EXAMPLE, key="qk_local_" + secrets.token_urlsafe(32)).status == 401


def test_a_viewer_may_not_call_models(chat: Any) -> None:
    answer = chat(EXAMPLE, key="VIEWER_KEY")
    assert answer.status == 403
    assert "call_models" in answer.json()["error"]["message"]


def test_another_method_is_refused(chat: Any) -> None:
    assert chat("", method="GET").status == 405
