"""VAPI's events in both shapes, the ways they prove themselves, and what we do about a call."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.personas.cast import cast
from quintet.personas.model import Status
from quintet.personas.vapi.events import event_of, report_of, tool_calls_of
from quintet.personas.vapi.phone import Answering, Phone
from quintet.personas.vapi.signing import Signing, Trust, key_of
from tests.loops import on_a_loop
from tests.unit.personas.room import PAYER, Room

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
BODY = b'{"message":{"type":"hang"}}'
ANSWERING = Answering(cast().personas[1], "https://api.example.test", "s3cret")
CALL = {"id": "call-123", "customer": {"number": "+14155551234"}}


def signed(body: bytes = BODY, stamp: str = STAMP, secret: bytes = b"key") -> dict[str, str]:
    signature = hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-signature": signature, "x-timestamp": stamp}


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"x-vapi-secret": "word"}, True),
        ({"authorization": "Bearer word"}, True),
        ({"authorization": "bearer word"}, True),
        ({"authorization": "Basic word"}, False),
        ({"x-vapi-secret": "wort"}, False),
        ({"x-vapi-secret": "wörd"}, False),
        ({"x-vapi-secret": ""}, False),
        ({}, False),
        (signed(), True),
        (signed(stamp=str(int(STAMP) * 1000)), True),
        (signed(body=b"{}"), False),
        (signed(secret=b"other"), False),
        (signed(stamp=str(int(STAMP) - 301)), False),
        (signed(stamp=str(int(STAMP) + 301)), False),
        (signed(stamp="soon"), False),
        (signed(stamp="٣"), False),
        ({"x-signature": signed()["x-signature"]}, False),
    ],
)
def test_a_secret_or_a_fresh_signature_lets_an_event_in(headers: Mapping[str, str], accepted: bool) -> None:
    assert Trust("word", Signing(b"key")).accepts(headers, BODY, NOW) is accepted


def test_nothing_configured_accepts_nothing() -> None:
    assert not Trust().configured
    assert not Trust().accepts({"x-vapi-secret": "", "x-signature": "", "authorization": "Bearer "}, BODY, NOW)


def test_the_signatures_form_is_the_owners_choice() -> None:
    signing = Signing(
        key_of(base64.b64encode(b"key").decode(), is_base64=True),
        algorithm="sha512",
        encoding="base64",
        header="svix-signature",
        timestamp_header="svix-timestamp",
        id_header="svix-id",
        format="{id}.{timestamp}.{body}",
        prefix="v1,",
    )
    digest = hmac.new(b"key", b"m1." + STAMP.encode() + b"." + BODY, hashlib.sha512).digest()
    headers = {
        "svix-id": "m1",
        "svix-timestamp": STAMP,
        "svix-signature": "v1," + base64.b64encode(digest).decode(),
    }
    assert Trust(signing=signing).accepts(headers, BODY, NOW)
    assert not Trust(signing=signing).accepts({**headers, "svix-id": "m2"}, BODY, NOW)
    bare = Signing(b"key", timestamp_header="", format="{body}")
    assert Trust(signing=bare).accepts({"x-signature": hmac.new(b"key", BODY, "sha256").hexdigest()}, BODY, NOW)


def test_both_shapes_are_one_event() -> None:
    flat = event_of({"type": "call.started", "call": {"id": "call-123", "from": "+14155551234", "to": "+1"}})
    today = event_of({"message": {"type": "status-update", "status": "in-progress", "call": CALL}})
    for event in (flat, today):
        assert (event.type, event.call_id, event.phone) == ("status-update", "call-123", "+14155551234")
        assert event.message["status"] == "in-progress"
    spoken = event_of({"type": "assistant.message", "message": "Hello"})
    assert (spoken.type, spoken.message["message"]) == ("model-output", "Hello")
    assert event_of({"type": "call.ended"}).ended


@pytest.mark.parametrize("body", [{}, {"type": 3}, {"message": {}}, {"message": {"type": None}}, {"type": ""}])
def test_an_event_without_a_type_is_refused(body: Any) -> None:
    with pytest.raises(Failure) as refused:
        event_of(body)
    assert refused.value.kind is Kind.INVALID


def test_tool_calls_are_read_in_every_form() -> None:
    forms: list[dict[str, Any]] = [
        {"toolCallList": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
        {"toolCallList": [{"id": "t1", "name": "f", "parameters": {"a": 1}}]},
        {"toolWithToolCallList": [{"toolCall": {"id": "t1", "function": {"name": "f", "parameters": {"a": 1}}}}]},
    ]
    for form in forms:
        (call,) = tool_calls_of(event_of({"message": {"type": "tool-calls", **form}}))
        assert (call.id, call.name, json.loads(call.arguments)) == ("t1", "f", {"a": 1})
    many = [{"id": f"t{n}", "name": "f"} for n in range(65)]
    for broken in (
        {"toolCallList": 3},
        {"toolCallList": ["x"]},
        {"toolCallList": [{"id": "t"}]},
        {"toolCallList": many},
    ):
        with pytest.raises(Failure):
            tool_calls_of(event_of({"message": {"type": "tool-calls", **broken}}))


def test_a_report_is_its_summary_and_every_word() -> None:
    whole = {"artifact": {"transcript": "User: hi"}, "analysis": {"summary": "Said hi."}}
    assert report_of(event_of({"message": {"type": "end-of-call-report", **whole}})) == {
        "summary": "Said hi.",
        "transcript": "User: hi",
    }
    messages = [{"role": "system", "message": "x"}, {"role": "user", "message": "hi"}, {"role": "bot", "message": "ho"}]
    older = event_of({"type": "end-of-call-report", "messages": messages, "artifact": 3})
    assert report_of(older)["transcript"] == "user: hi\nbot: ho"


class Line:
    """The phone over fakes."""

    def __init__(self) -> None:
        self.room = Room()
        self.phone = Phone(
            cast(),
            self.room.notebook,
            self.room.conversations,
            self.room.inbox,
            self.room.talk.toolbox,
            self.room.clock,
        )

    async def hears(self, kind: str, **message: Any) -> dict[str, Any]:
        event = event_of({"message": {"type": kind, "call": CALL, **message}})
        return await self.phone.heard(event, ANSWERING, PAYER, self.room.journal)


@on_a_loop
async def test_whoever_calls_is_answered_by_a_persona_that_speaks_through_us() -> None:
    line = Line()
    told = (await line.hears("assistant-request"))["assistant"]
    assert told["name"] == "Maya"
    assert told["firstMessage"] == cast().personas[1].greeting
    assert told["model"] == {
        "provider": "custom-llm",
        "url": "https://api.example.test",
        "model": "maya",
        "headers": {"Authorization": "Bearer s3cret"},
    }
    told = await line.hears("assistant-request", phoneNumber={"name": "Riley"})
    assert told["assistant"]["name"] == "Riley"
    assert line.room.notebook.calls["call-123"]["phone"] == "+14155551234"


@on_a_loop
async def test_a_personas_tools_answer_on_one_line_and_once() -> None:
    line = Line()
    calls = [
        {"id": "t1", "name": "write_journal", "parameters": {"entry": "Ada called."}},
        {"id": "t2", "name": "my_goals", "parameters": {}},
        {"id": "t3", "name": "fly", "parameters": {}},
    ]
    first = await line.hears("tool-calls", toolCallList=calls)
    assert [(each["name"], each["toolCallId"]) for each in first["results"]] == [
        ("write_journal", "t1"),
        ("my_goals", "t2"),
        ("fly", "t3"),
    ]
    assert all("\n" not in each["result"] for each in first["results"])
    assert "no tool" in first["results"][2]["result"]
    assert await line.hears("tool-calls", toolCallList=calls) == first
    assert len(line.room.notebook.pages["persona#maya#journal"]) == 1
    legacy = await line.hears("function-call", functionCall={"name": "my_goals", "parameters": {}})
    assert legacy["result"] == first["results"][1]["result"]


@on_a_loop
async def test_a_call_that_is_over_ends_its_session_and_is_summed_up_later() -> None:
    line = Line()
    await line.room.say("Hello", "+14155551234")
    facts = {"caller": "+14155551234", "scope": "", "agent": "tony"}
    await line.room.notebook.note("call-123", facts, line.room.clock.now() + timedelta(days=1))
    report = {"artifact": {"transcript": "User: hi"}, "endedReason": "customer-ended-call"}
    for _ in range(2):
        assert await line.hears("end-of-call-report", **report) == {"received": True}
    assert (await line.room.process("+14155551234")).status is Status.COMPLETED
    assert line.room.inbox.jobs[0] == {
        "kind": "report",
        "call": "call-123",
        **facts,
        "summary": "",
        "transcript": "User: hi",
    }


@pytest.mark.parametrize(
    "kind",
    [
        "status-update", "transcript", 'transcript[transcriptType="final"]', "conversation-update", "speech-update",
        "hang", "user-interrupted", "voice-input", "something-new",
    ],
)  # fmt: skip
def test_everything_else_is_heard(kind: str) -> None:
    @on_a_loop
    async def test() -> None:
        assert await Line().hears(kind) == {"received": True}

    test()


@on_a_loop
async def test_what_we_cannot_do_is_said() -> None:
    line = Line()
    assert "error" in await line.hears("transfer-destination-request")
    assert await line.hears("knowledge-base-request") == {"documents": []}
    unreachable = Answering(cast().first, "")
    event = event_of({"message": {"type": "assistant-request"}})
    assert "error" in await line.phone.heard(event, unreachable, PAYER, line.room.journal)
