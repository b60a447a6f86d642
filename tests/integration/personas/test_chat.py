"""tron.md's chat and control panel, as API Gateway asks for them."""

import json
import re
from typing import Any

import pytest

from quintet.identity.keys import Keys
from quintet.identity.store import keys as key_table
from quintet.settings import settings
from quintet.store.clock import SystemClock
from tests.conftest import Stack
from tests.examples import like
from tests.integration.personas.conftest import Caller, Configure

HELLO = [{"role": "user", "content": "Hello Tony!"}]
PATHS = ("/chat/completions", "/v1/chat/completions")

COMPLETION = {
    "id": "chatcmpl-1705312200000000000",
    "object": "chat.completion",
    "created": 1705312200,
    "model": "tony",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "I've been thinking..."}, "finish_reason": "stop"}
    ],
}
PROCESS = {
    "id": "a1b2c3d4",
    "agent": "Tony",
    "name": "tony-main",
    "status": "running",
    "task": "Handle incoming voice call",
    "started_at": "2024-01-15T10:30:00Z",
    "metrics": {
        "input_tokens": 15420,
        "output_tokens": 8230,
        "total_tokens": 23650,
        "llm_calls": 12,
        "tool_calls": 8,
        "estimated_cost": 0.0945,
        "duration_ms": 125000,
    },
}
SESSION = {"caller_id": "+14155551234", "process_id": "a1b2c3d4", "agent": "Tony", "status": "running"}
STATUS = {
    "status": "ok",
    "uptime": "2h30m15s",
    "process_count": 5,
    "session_count": 2,
    "personas": ["Tony", "Maya", "Alex", "Jordan", "Riley"],
    "active_personas": ["Tony", "Maya"],
}


def chunks(text: str) -> list[Any]:
    frames = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert frames.pop() == "[DONE]"
    return [json.loads(frame) for frame in frames]


@pytest.mark.parametrize("path", PATHS)
def test_the_documents_request_is_answered(caller: Caller, path: str) -> None:
    body = {
        "model": "tony",
        "messages": [{"role": "system", "content": "You are Tony, the CTO."}, *HELLO],
        "stream": False,
        "temperature": 0.7,
        "max_tokens": 1000,
    }
    answer = caller("POST", path, json=body)
    assert answer.status == 200
    told = answer.json()
    assert told["usage"]["total_tokens"] > 0
    assert told["system_fingerprint"] == "builtin/echo"
    choice = told["choices"][0]
    assert "Hello Tony!" in choice["message"]["content"]
    bare = {**told, "choices": [{**choice, "message": {**choice["message"]}}]}
    for name in ("usage", "system_fingerprint"):
        del bare[name]
    del bare["choices"][0]["logprobs"], bare["choices"][0]["message"]["refusal"]
    assert like(COMPLETION, bare)


@pytest.mark.parametrize("path", PATHS)
def test_the_documents_stream_is_valid_all_through(caller: Caller, path: str) -> None:
    answer = caller("POST", path, json={"messages": HELLO, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = chunks(answer.text)
    assert told[0]["choices"][0]["delta"]["role"] == "assistant"
    assert told[-1]["choices"][0]["finish_reason"] == "stop"
    assert told[-1]["choices"][0]["delta"] == {}
    assert "Hello Tony!" in "".join(each["choices"][0]["delta"].get("content", "") for each in told)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("maya", "maya"), ("Maya", "maya"), ("anything", "tony"), ("", "tony"), (None, "tony"),
        ("builtin/echo", "builtin/echo"), ("auto", "builtin/echo"),
    ],
)  # fmt: skip
def test_a_model_is_a_persona_or_a_model_or_tony(caller: Caller, model: str | None, told: str) -> None:
    for stream in (False, True):
        answer = caller("POST", "/chat/completions", json={"model": model, "messages": HELLO, "stream": stream})
        first = chunks(answer.text)[0] if stream else answer.json()
        assert first["model"] == told


def test_a_caller_has_one_process_that_counts(caller: Caller, phone: str) -> None:
    for _ in range(2):
        caller("POST", "/chat/completions", headers={"X-Vapi-Caller-Phone": phone}, json={"messages": HELLO})
    session = next(each for each in caller("GET", "/api/sessions").json() if each["caller_id"] == phone)
    assert like(SESSION, session)
    process = next(each for each in caller("GET", "/api/processes").json() if each["id"] == session["process_id"])
    assert like(PROCESS, process)
    assert (process["agent"], process["status"], process["metrics"]["llm_calls"]) == ("Tony", "running", 2)
    assert process["task"] == "Handle incoming voice call"
    assert caller("GET", f"/api/processes/{process['id']}").json()["id"] == process["id"]
    status = caller("GET", "/api/status").json()
    assert like(STATUS, status)
    assert status["process_count"] >= 1
    assert status["session_count"] >= 1


def test_callers_are_called_by_their_request_or_by_nobodys_name(caller: Caller) -> None:
    caller("POST", "/chat/completions", headers={"X-Request-ID": "req-12345"}, json={"messages": HELLO})
    caller("POST", "/chat/completions", json={"messages": HELLO})
    names = [each["caller_id"] for each in caller("GET", "/api/sessions").json()]
    assert "req-12345" in names
    assert any(name.startswith("anonymous-") and name[10:].isdecimal() for name in names)


def test_lists_have_pages(caller: Caller) -> None:
    for _ in range(3):
        caller("POST", "/chat/completions", json={"messages": HELLO})
    for path in ("/api/processes", "/api/sessions"):
        first = caller("GET", f"{path}?limit=2")
        assert len(first.json()) == 2
        cursor = first.headers["x-next-cursor"]
        assert re.fullmatch(r"[\w-]+", cursor, re.ASCII)  # no name of a caller: a header and a query can hold it
        second = caller("GET", f"{path}?limit=2&cursor={cursor}")
        assert [each for each in second.json() if each in first.json()] == []


@pytest.mark.parametrize("path", ["/api/processes", "/api/sessions", "/api/feed"])
@pytest.mark.parametrize("cursor", ["%00", "nonsense", "%F0%9F%98%80", "_w", "x" * 1025])
def test_a_cursor_that_nobody_gave_is_refused(caller: Caller, path: str, cursor: str) -> None:
    assert caller("GET", f"{path}?cursor=").status == 200
    refused = caller("GET", f"{path}?cursor={cursor}")
    assert refused.status == 400
    assert refused.json()["error"]["message"].startswith("cursor: ")


def test_models_are_listed_in_openais_shape(caller: Caller) -> None:
    listed = caller("GET", "/models").json()
    assert listed["object"] == "list"
    assert {"tony", "riley", "auto", "builtin/echo"} <= {each["id"] for each in listed["data"]}
    for each in listed["data"]:
        assert caller("GET", f"/models/{each['id']}").json() == each
    missing = caller("GET", "/models/gpt-0")
    assert (missing.status, missing.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff\xfe", None),
        (b"", None),
        (b'{"messages": NaN}', None),
        (b"[" * 100_000, None),
        (b"{}", "messages"),
        (b'{"messages": [{"role": "user", "content": 3}]}', "messages.0.content"),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": 9}', "temperature"),
    ],
)
def test_what_is_malformed_is_400_and_named(caller: Caller, path: str, body: bytes, param: str | None) -> None:
    answer = caller("POST", path, body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("model", ["builtin/echo", "tony"])
def test_what_a_model_cannot_do_is_400_and_names_it(caller: Caller, model: str) -> None:
    body = {"model": model, "messages": HELLO, "logprobs": True}
    for stream in (False, True):
        answer = caller("POST", "/chat/completions", json={**body, "stream": stream})
        assert answer.status == 400
        assert "log" in answer.json()["error"]["message"]


def test_other_methods_and_paths_are_refused_in_their_dialect(caller: Caller) -> None:
    assert caller("GET", "/chat/completions").status == 405
    answer = caller("GET", "/api/nowhere")
    assert (answer.status, answer.json()["error"]["type"]) == (404, "not_found_error")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert caller("OPTIONS", "/api/status").headers["access-control-allow-origin"] == "*"
    assert caller("GET", "/api/processes?limit=0").status == 400


def test_a_closed_stack_wants_to_know_who_talks(caller: Caller, configure: Configure) -> None:
    configure(open_access=False)
    for method, path in (("POST", "/chat/completions"), ("GET", "/models"), ("GET", "/api/status")):
        answer = caller(method, path, json={"messages": HELLO})
        assert answer.status == 401
    known = {"Authorization": f"Bearer {settings().static_token}"}
    assert caller("POST", "/chat/completions", json={"messages": HELLO}, headers=known).status == 200


def test_a_viewer_looks_at_personas_and_does_not_talk_to_them(caller: Caller) -> None:
    issued = Keys(key_table, settings().stage).issue(
        "test", "onlooker", roles=["viewer"], actor="test", now=SystemClock().now()
    )
    known = {"X-API-Key": issued.secret}
    for path in ("/api/status", "/api/processes", "/api/sessions", "/api/feed"):
        assert caller("GET", path, headers=known).status == 200
    assert caller("POST", "/chat/completions", json={"messages": HELLO}, headers=known).status == 403


def test_the_deployed_function_answers_in_its_own_role(stack: Stack) -> None:
    """Through the emulator's API Gateway, which enforces the role: a missing permission shows."""
    key = {"X-API-Key": stack.keys["RYUZEN_KEY"]}
    body = {"model": "alex", "messages": [{"role": "user", "content": "use team_processes"}]}
    answer = stack.invoke("PersonasFunction", _event("POST", "/chat/completions", body, key))
    assert answer["statusCode"] == 200, answer
    for path in ("/api/status", "/api/processes", "/api/sessions", "/api/feed", "/models"):
        answer = stack.invoke("PersonasFunction", _event("GET", path, None, key))
        assert answer["statusCode"] == 200, answer


def test_a_persona_puts_a_task_onto_the_platform_for_whoever_may(stack: Stack) -> None:
    key = {"X-API-Key": stack.keys["RYUZEN_KEY"]}
    said = 'create_task {"title": "Mend the door", "description": "It squeaks."}'
    body = {"model": "tony", "messages": [{"role": "user", "content": said}]}
    answer = stack.invoke("PersonasFunction", _event("POST", "/chat/completions", body, key))
    assert answer["statusCode"] == 200, answer
    found = re.search(r"task_[0-9a-z]{26}", answer["body"])
    assert found, answer["body"]
    task = stack.request("GET", f"/v1/tasks/{found[0]}", headers=key).json()["data"]
    assert (task["title"], task["status"]) == ("Mend the door", "pending")


def _event(method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
    from tests.gateway import event

    return event(method, path, json=body, headers=headers)
