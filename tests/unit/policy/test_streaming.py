"""/stream over fakes: a step for every message, an error for every message that is none, and the socket stays open."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.http.exchange import Exchange
from quintet.identity.credentials import Credential
from quintet.identity.door import STATIC
from quintet.identity.model import Principal, PrincipalKind
from quintet.policy.streaming import Stream
from quintet.sockets.model import Connection, Handshake
from tests.fakes.sockets import FakePoster
from tests.loops import on_a_loop
from tests.unit.policy.conftest import SEEN, House

TOKEN = "cyborg-secret-v2"
MOST_STRANGERS = 3
VIEWER = Principal("v", PrincipalKind.USER, "user#v", frozenset({"read_tasks"}))


class Streaming:
    def __init__(self, house: House) -> None:
        self.house = house
        self.poster = FakePoster()
        self.records: list[Exchange] = []
        self.stream = Stream(lambda: house.first, self.poster, self.authenticate, self.stranger, self.record)
        self.strangers = 0

    async def authenticate(self, credential: Credential, now: datetime) -> Principal:
        if credential.text == TOKEN:
            return STATIC
        if credential.text == "a viewer's":
            return VIEWER
        raise credential.refusal()

    async def stranger(self, exchange: Exchange) -> None:
        self.strangers += 1
        if self.strangers > MOST_STRANGERS:
            raise Failure(Kind.LIMITED, "Rate limit exceeded: 3 per 1 minute")

    async def record(self, exchange: Exchange) -> None:
        self.records.append(exchange)

    async def say(self, message: Any, connection: str = "one") -> Any:
        raw = message if isinstance(message, str | bytes) else json.dumps(message)
        await self.stream.message(at(connection), raw)
        return self.poster.told(connection)[-1]

    async def step(self, connection: str = "one", **more: Any) -> Any:
        return await self.say({"observation": SEEN, "token": TOKEN, **more}, connection)


def at(connection: str) -> Connection:
    return Connection(connection, "cyborgmind", None, datetime(2026, 11, 20, tzinfo=UTC))


@pytest.fixture
def streaming(house: House) -> Streaming:
    return Streaming(house)


@on_a_loop
async def test_a_message_is_a_step(streaming: Streaming) -> None:
    reply = await streaming.step(deterministic=True)
    assert reply.keys() == {"action", "value", "pressure", "error"}
    assert reply["action"] in {0, 1}
    assert isinstance(reply["value"], float)
    assert (reply["pressure"], reply["error"]) == (0.0, None)


@on_a_loop
async def test_every_connection_has_a_state_of_its_own(streaming: Streaming) -> None:
    first = [await streaming.step("one") for _ in range(3)]
    assert [await streaming.step("two") for _ in range(3)] == first
    assert first[0]["value"] != first[1]["value"]
    await streaming.stream.disconnect(at("one"))
    assert len(streaming.house.agents.rows) == 1
    assert await streaming.step("one") == first[0]


@on_a_loop
async def test_steps_are_deterministic_unless_asked(streaming: Streaming) -> None:
    drawn = {(await streaming.step(str(number), deterministic=False, seed=number))["action"] for number in range(30)}
    assert drawn == {0, 1}
    assert len({(await streaming.step(f"d{number}"))["action"] for number in range(30)}) == 1


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"observation": SEEN}, "Missing 'token' field in message"),
        ({"observation": SEEN, "token": None}, "Missing 'token' field in message"),
        ({}, "Missing 'token' field in message"),
        ({"observation": SEEN, "token": "wrong"}, "Authentication failed: Invalid authentication token"),
        ({"observation": SEEN, "token": "\ud800"}, "Authentication failed: Invalid authentication token"),
        ({"observation": SEEN, "token": 5}, "Authentication failed: Invalid authentication token"),
        (
            {"observation": SEEN, "token": "a viewer's"},
            "Authentication failed: This needs the permission 'infer'",
        ),
        ({"token": TOKEN}, "Missing 'observation' field"),
        ({"token": TOKEN, "observation": None}, "Missing 'observation' field"),
        ({"token": TOKEN, "observation": [1, 2]}, "Expected observation of length 4, got 2"),
        ({"token": TOKEN, "observation": "1"}, "observation: Must be a list of numbers"),
        (
            {"token": TOKEN, "observation": [1, 2, 3, 1e39]},
            "observation: every number must be finite and fit into 32 bits",
        ),
        ({"token": TOKEN, "observation": SEEN, "deterministic": 1}, "deterministic: Must be true or false"),
        ({"token": TOKEN, "observation": SEEN, "policy": 1}, "policy: Must be a name"),
        ("{", "The message is not valid JSON"),
        ("", "The message is not valid JSON"),
        (b"\xff\xfe", "The message is not valid JSON"),
        ("[" * 100_000, "The message is not valid JSON"),
        ("[]", "The message must be a JSON object"),
    ],
)
@on_a_loop
async def test_what_is_no_step_is_told_and_the_socket_stays_open(
    streaming: Streaming, message: Any, error: str
) -> None:
    assert await streaming.say(message) == {"action": None, "value": 0.0, "pressure": 0.0, "error": error}
    assert (await streaming.step())["error"] is None


@on_a_loop
async def test_bytes_are_read_as_text(streaming: Streaming) -> None:
    assert (await streaming.say(json.dumps({"observation": SEEN, "token": TOKEN}).encode()))["error"] is None


@on_a_loop
async def test_every_message_is_recorded_without_its_token(streaming: Streaming) -> None:
    await streaming.step()
    await streaming.say({"observation": SEEN, "token": "wrong"})
    done, refused = streaming.records
    assert (done.route, done.status, done.caller) == ("/stream", 200, STATIC)
    assert done.facts["agent_version"] == 1
    assert (refused.status, refused.failure and refused.failure.kind) == (403, Kind.UNAUTHENTICATED)
    assert TOKEN not in str(done.facts)


@on_a_loop
async def test_who_guesses_too_often_is_hung_up_on(streaming: Streaming) -> None:
    for guess in ({"token": "a"}, {"token": "b", "observation": SEEN}, "{"):
        assert "Rate limit" not in (await streaming.say(guess))["error"]
        await streaming.step()  # whoever is known is not counted
    assert streaming.poster.closed == []
    assert (await streaming.say({"token": "c"}))["error"] == "Rate limit exceeded: 3 per 1 minute"
    assert streaming.poster.closed == ["one"]
    assert streaming.records[-1].status == 429


@on_a_loop
async def test_a_fault_of_ours_is_no_detail_of_theirs(streaming: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(streaming.house.first, "step", broken)
    assert (await streaming.step())["error"] == "Internal server error"


@on_a_loop
async def test_everybody_may_connect(streaming: Streaming) -> None:
    refusal = Failure(Kind.UNAUTHENTICATED, "no")
    handshake = Handshake("one", "cyborgmind", {}, {}, "203.0.113.7", datetime(2026, 11, 20, tzinfo=UTC), None, refusal)
    accepted = await streaming.stream.connect(handshake)
    assert (accepted.principal, accepted.subprotocol) == (None, None)
