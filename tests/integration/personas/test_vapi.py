"""VAPI's events and its custom LLM, as they come in over HTTP."""

import hashlib
import hmac
import json
import secrets
import time
from typing import Any

import pytest

from tests.gateway import Answer, Context
from tests.integration.personas.conftest import Caller, Configure

PATH = "/vapi/events"


@pytest.fixture
def call_id() -> str:
    return f"call-{secrets.token_hex(6)}"


def test_the_documents_event(caller: Caller) -> None:
    body = {"type": "call.started", "call": {"id": "call-123", "from": "+14155551234", "to": "+14155555678"}}
    assert caller("POST", PATH, json=body).status == 200


def test_a_call_is_known_by_its_phone_from_its_events_on(caller: Caller, call_id: str, phone: str) -> None:
    begun = {"type": "status-update", "status": "in-progress", "call": {"id": call_id}, "customer": {"number": phone}}
    caller("POST", PATH, json={"message": begun})
    for _ in range(2):
        answer = caller(
            "POST",
            "/chat/completions",
            headers={"X-Vapi-Call-ID": call_id},
            json={"messages": [{"role": "user", "content": "Hello"}]},
        )
        assert answer.status == 200
    (session,) = [each for each in caller("GET", "/api/sessions").json() if each["caller_id"] == phone]
    caller("POST", PATH, json={"type": "call.ended", "call": {"id": call_id}})
    assert phone not in [each["caller_id"] for each in caller("GET", "/api/sessions").json()]
    process = caller("GET", f"/api/processes/{session['process_id']}").json()
    assert (process["status"], process["task"]) == ("completed", "Handle incoming voice call")


def test_vapis_own_body_names_the_caller(caller: Caller, call_id: str, phone: str) -> None:
    body = {
        "model": "maya",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <flush /> there"}],
        "temperature": 0.5,
        "max_tokens": 250,
        "stream": True,
        "metadata": {"a": {"b": [1]}},
        "call": {"id": call_id, "type": "inboundPhoneCall"},
        "phoneNumber": {"id": "x"},
        "customer": {"number": phone},
        "tools": [],
    }
    answer = caller("POST", "/chat/completions", json=body)
    assert answer.status == 200
    assert "data: [DONE]" in answer.text
    assert phone in [each["caller_id"] for each in caller("GET", "/api/sessions").json()]


def test_a_call_is_remembered_by_the_next_one(caller: Caller, call_id: str, phone: str) -> None:
    import inbox.app

    word = secrets.token_hex(4)
    job = {
        "kind": "report",
        "call": call_id,
        "caller": phone,
        "scope": "",
        "agent": "tony",
        "summary": f"Asked about {word}.",
        "transcript": "",
    }
    records = [{"messageId": "1", "body": json.dumps(job)}] * 2
    assert inbox.app.handler({"Records": records}, Context()) == {"batchItemFailures": []}
    from quintet.http.entry import kept_loop
    from quintet.personas.memory import memory_page
    from quintet.personas.store import notebook

    (note,) = kept_loop().run_until_complete(notebook.read(memory_page("", phone), 5))
    assert word in note.text


def test_the_report_of_a_call_is_taken_at_once(caller: Caller, call_id: str, phone: str) -> None:
    report = {
        "type": "end-of-call-report",
        "endedReason": "customer-ended-call",
        "call": {"id": call_id, "customer": {"number": phone}},
        "artifact": {"transcript": "User: hi\nAI: hello"},
    }
    for _ in range(2):
        assert caller("POST", PATH, json={"message": report}).json() == {"received": True}
    assert caller("POST", PATH, json={"message": {"type": "end-of-call-report"}}).status == 400


def test_characters_that_no_store_takes_are_no_failure_of_ours(caller: Caller, call_id: str, phone: str) -> None:
    call = {"id": call_id, "customer": {"number": phone}}
    report = {"type": "end-of-call-report", "call": call, "analysis": {"summary": "TEXT"}}
    for told in (report, {"type": "TEXT", "call": call}):
        body = json.dumps({"message": told}).replace("TEXT", r"a \ud800 \u0000 \uffff b").encode()
        assert caller("POST", PATH, body=body).json() == {"received": True}


def test_an_assistant_is_named_within_vapis_patience(caller: Caller, configure: Configure) -> None:
    configure(public_url="https://api.example.test/", vapi_assistant_persona="jordan")
    began = time.monotonic()
    told = caller("POST", PATH, json={"message": {"type": "assistant-request"}}).json()["assistant"]
    assert time.monotonic() - began < 7.5
    assert told["name"] == "Jordan"
    assert told["model"]["url"] == "https://api.example.test"


def test_tools_are_run_for_vapi(caller: Caller, call_id: str) -> None:
    calls = [{"id": "t1", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}]
    message = {"type": "tool-calls", "call": {"id": call_id}, "toolCallList": calls}
    (result,) = caller("POST", PATH, json={"message": message}).json()["results"]
    assert (result["name"], result["toolCallId"]) == ("current_time", "t1")
    assert "America/Los_Angeles" in result["result"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"type": 3}', b"{}", b'{"message": "x"}'])
def test_what_is_malformed_is_400(caller: Caller, body: bytes) -> None:
    assert caller("POST", PATH, body=body).status == 400


def test_once_a_secret_is_set_nobody_comes_in_without(caller: Caller, configure: Configure, call_id: str) -> None:
    configure(vapi_secret="word", vapi_hmac_secret="key")
    body = json.dumps({"message": {"type": "hang", "call": {"id": call_id}}}).encode()

    def send(**headers: str) -> Answer:
        return caller("POST", PATH, body=body, headers={name.replace("_", "-"): each for name, each in headers.items()})

    def signed(stamp: float) -> dict[str, Any]:
        told = str(int(stamp))
        return {
            "x_timestamp": told,
            "x_signature": hmac.new(b"key", told.encode() + b"." + body, hashlib.sha256).hexdigest(),
        }

    now = time.time()
    admitted = [send(x_vapi_secret="word"), send(authorization="Bearer word"), send(**signed(now))]
    assert [each.status for each in admitted] == [200] * 3
    refused = [send(), send(x_vapi_secret="x"), send(authorization="Bearer x"), send(**signed(now - 600))]
    assert [each.status for each in refused] == [401] * 4


def test_a_closed_stack_without_a_secret_wants_a_key(caller: Caller, configure: Configure) -> None:
    configure(open_access=False)
    assert caller("POST", PATH, json={"type": "hang"}).status == 401
