"""/api/v1 over a real socket: every answer's shape, and every refusal in toron.md's words."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import Stack
from tests.examples import like
from tests.gateway import answer, event

PATIENCE = 60
ANSWER = {
    "id": "rec_1",
    "status": "ok",
    "output": "…",
    "tokens": 7,
    "latency_ms": 12,
    "models_used": ["gpt-4o"],
    "metadata": {},
    "error": None,
}


def ask(front: str, keyed: dict[str, str], body: Any = None, path: str = "/api/v1/ask", **more: Any) -> Any:
    options = {"json": body} if "data" not in more else {}
    headers = {**keyed, **more.pop("headers", {})}
    return requests.post(f"{front}{path}", headers=headers, timeout=PATIENCE, **options, **more)


def events(answered: requests.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in answered.text.splitlines() if line.startswith("data: ")]


def test_an_answer_has_the_documented_shape(front: str, keyed: dict[str, str]) -> None:
    answered = ask(front, keyed, {"prompt": "Hello there", "metadata": {}})
    assert answered.status_code == 200
    assert like(ANSWER, answered.json())
    assert answered.json()["models_used"] == ["builtin/echo"]


def test_metadata_comes_back_and_its_request_id_names_the_request(front: str, keyed: dict[str, str]) -> None:
    metadata = {"request_id": "job-42", "tags": ["a", {"b": 1.5}]}
    answered = ask(front, keyed, {"prompt": "x", "metadata": metadata})
    assert answered.json()["metadata"] == metadata
    assert answered.headers["X-Request-ID"] == "job-42"
    both = ask(front, keyed, {"prompt": "x", "metadata": metadata}, headers={"X-Request-ID": "mine"})
    assert both.headers["X-Request-ID"] == "mine"


def test_several_models_answer_with_their_agreement(front: str, keyed: dict[str, str]) -> None:
    answered = ask(front, keyed, {"prompt": "x y z", "models": ["gpt-4o", "auto"]}).json()
    assert answered["agreement"] == 1.0
    assert [each["status"] for each in answered["answers"]] == ["ok", "ok"]
    assert answered["output"] == answered["answers"][0]["output"]
    assert answered["tokens"] == sum(each["tokens"] for each in answered["answers"])


@pytest.mark.parametrize("path", ["/api/v1/ask", "/api/v1/stream"])
def test_a_body_may_ask_for_a_stream(front: str, keyed: dict[str, str], path: str) -> None:
    answered = ask(front, keyed, {"prompt": "Stream this please", "stream": True}, path)
    assert answered.headers["Content-Type"].startswith("text/event-stream")
    *tokens, done = events(answered)
    assert done == "[DONE]"
    told = [json.loads(token) for token in tokens]
    assert [each["index"] for each in told] == list(range(len(told)))
    assert "Stream this please" in "".join(each["token"] for each in told)


def test_several_models_stream_their_consensus(front: str, keyed: dict[str, str]) -> None:
    answered = ask(front, keyed, {"prompt": "x y", "models": ["gpt-4o", "auto"], "stream": True})
    assert events(answered)[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "prompt: Field required"),
        ({"prompt": ""}, 400, "prompt: Must not be empty"),
        ({"prompt": 5}, 400, "prompt: Must be a string"),
        ({"prompt": "x" * 1_000_000}, 413, "prompt: Must not be larger than 512 KB: it has 976"),
        (
            {"prompt": "x", "model": "no-such"},
            404,
            "There is no model of this name: GET /api/v1/models lists those there are",
        ),
        ({"prompt": "x", "metadata": "y"}, 400, "metadata: Must be an object"),
        ({"prompt": "x", "encryption": "y"}, 400, "encryption: must be an object"),
    ],
)
def test_a_bad_prompt_gets_a_clear_error(front: str, keyed: dict[str, str], body: Any, status: int, error: str) -> None:
    for path in ("/api/v1/ask", "/api/v1/stream"):
        answered = ask(front, keyed, body, path)
        assert (answered.status_code, answered.json()) == (status, {"status": "error", "error": error})


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b"", 400, "The request body is empty: it must be a JSON object"),
        (b"{", 400, "The request body is not valid JSON"),
        (b'{"prompt": "\xff\xfe"}', 400, "The request body is not UTF-8"),
        (b'["x"]', 400, "The request body must be a JSON object"),
        (b'{"prompt": "' + b"x" * (2 << 20) + b'"}', 413, "The request body is larger than 1 MiB"),
    ],
)
def test_a_bad_body_gets_a_clear_error(
    front: str, keyed: dict[str, str], content: bytes, status: int, error: str
) -> None:
    answered = ask(front, keyed, data=content, headers={"Content-Type": "application/json"})
    assert (answered.status_code, answered.json()) == (status, {"status": "error", "error": error})


@pytest.mark.parametrize(
    ("query", "error"),
    [("", "prompt: Field required"), ("prompt=", "prompt: Field required"), ("prompt=%00", "prompt: Must not hold")],
)
def test_a_bad_query_gets_a_clear_error(front: str, keyed: dict[str, str], query: str, error: str) -> None:
    answered = requests.get(f"{front}/api/v1/stream?{query}", headers=keyed, timeout=PATIENCE)
    assert answered.status_code == 400
    assert answered.json()["error"].startswith(error)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/ask"),
        ("POST", "/api/v1/stream"),
        ("GET", "/api/v1/stream?prompt=x"),
        ("GET", "/api/v1/models"),
        ("GET", "/api/v1/connectors"),
        ("GET", "/api/v1/telemetry/summary"),
        ("GET", "/api/v1/keys/me"),
        ("GET", "/api/v1/keys/kms:projects/quintet/keys/telemetry"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"X-Ryuzen-Key": "wrong"}])
def test_nothing_is_told_without_a_key(front: str, method: str, path: str, headers: dict[str, str]) -> None:
    answered = requests.request(method, f"{front}{path}", headers=headers, json={"prompt": "x"}, timeout=PATIENCE)
    assert answered.status_code == 401
    assert answered.json().keys() == {"status", "error"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/ask", 405), ("DELETE", "/api/v1/stream", 405), ("GET", "/api/v1/nowhere", 404)],
)
def test_what_is_not_offered_is_refused_in_the_documents_words(
    front: str, keyed: dict[str, str], method: str, path: str, status: int
) -> None:
    answered = requests.request(method, f"{front}{path}", headers=keyed, timeout=PATIENCE)
    assert answered.status_code == status
    assert answered.json().keys() == {"status", "error"}


def test_health_needs_no_key(front: str) -> None:
    answered = requests.get(f"{front}/api/v1/health", timeout=PATIENCE)
    assert answered.status_code == 200
    assert like({"status": "ok", "uptime_s": 1.5, "version": "1.0.0"}, answered.json())


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/connectors"])
def test_lists_have_the_documented_shape(front: str, keyed: dict[str, str], path: str) -> None:
    told = requests.get(f"{front}{path}", headers=keyed, timeout=PATIENCE).json()
    assert isinstance(told, list)
    assert {"name", "type", "status", "last_sync"} <= told[0].keys()
    assert {each["status"] for each in told} <= {"healthy", "degraded", "offline"}
    builtin = next(each for each in told if each["name"] == "builtin")
    assert builtin["status"] == "healthy"
    if path.endswith("models"):
        assert builtin["models"] == ["builtin/echo"]


def test_telemetry_tells_of_what_has_just_been_asked(front: str, keyed: dict[str, str]) -> None:
    ask(front, keyed, {"prompt": "x"})
    events_ = len(events(ask(front, keyed, {"prompt": "one two three", "stream": True}))) - 1
    told = requests.get(f"{front}/api/v1/telemetry/summary", headers=keyed, timeout=PATIENCE).json()
    shape = {
        "requests_last_minute": 1,
        "error_rate": 0.5,
        "avg_latency_ms": 1,
        "sse_throughput_eps": 0.5,
        "websocket_sessions": 1,
        "engine_health_score": 0.5,
    }
    assert like(shape, told)
    assert told["requests_last_minute"] >= 2
    assert told["sse_throughput_eps"] >= round(events_ / 60, 2)
    assert 0 < told["engine_health_score"] <= 1


def test_a_caller_that_hangs_up_costs_nothing_but_its_record(front: str, keyed: dict[str, str]) -> None:
    address = urlsplit(front)
    assert address.hostname
    with socket.create_connection((address.hostname, address.port or 80), timeout=PATIENCE) as raw:
        head = (
            f"GET /api/v1/stream?prompt=x HTTP/1.1\r\nHost: {address.netloc}\r\nX-Ryuzen-Key: {keyed['X-Ryuzen-Key']}"
        )
        raw.sendall(f"{head}\r\n\r\n".encode())
        assert raw.recv(64).startswith(b"HTTP/1.1 200")
    assert requests.get(f"{front}/api/v1/health", timeout=PATIENCE).ok


def test_the_deployed_function_does_all_that_in_its_own_role(stack: Stack, keyed: dict[str, str]) -> None:
    def invoke(method: str, path: str, body: Any = None) -> Any:
        told = answer(stack.invoke("AskFunction", event(method, path, headers=keyed, json=body)))
        assert told.status == 200, told.text
        return told

    assert "Hello from afar" in invoke("POST", "/api/v1/ask", {"prompt": "Hello from afar"}).json()["output"]
    assert "data: [DONE]" in invoke("GET", "/api/v1/stream?prompt=x").text
    for path in ("models", "connectors", "telemetry/summary", "keys/me", "keys/kms:projects/quintet/keys/telemetry"):
        invoke("GET", f"/api/v1/{path}")
