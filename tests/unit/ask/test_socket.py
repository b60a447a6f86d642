"""`/ws/stream` over fakes: what a client is told, message by message."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from quintet.ask.asking import Asking
from quintet.ask.socket import Prompts
from quintet.errors import Failure, Kind
from quintet.sockets.dispatch import Dispatcher
from tests.fakes.gateway import FakeGateway
from tests.loops import on_a_loop
from tests.sockets import connecting, saying
from tests.unit.ask.test_asking import Everything, Slow
from tests.unit.identity.conftest import Configure, configure
from tests.unit.sockets.conftest import House, house

__all__ = ["configure", "house"]


@dataclass
class Room:
    house: House
    gateway: FakeGateway = field(default_factory=FakeGateway)

    def __post_init__(self) -> None:
        house = self.house
        asking = Asking(lambda: self.gateway, Everything())
        protocol = Prompts(asking, house.poster, house.connections, house.messages)
        self.dispatch = Dispatcher({"toron": lambda: protocol}, house.connections, house.door, house.record)

    async def connect(self, *roles: str, name: str = "c1=") -> dict[str, Any]:
        headers = {"X-Ryuzen-Key": self.house.key(*roles).secret}
        return await self.dispatch(connecting("toron", name, headers=headers))

    async def say(self, message: Any, name: str = "c1=") -> None:
        await self.dispatch(saying(message if isinstance(message, str | bytes) else json.dumps(message), name))

    def told(self, name: str = "c1=") -> list[Any]:
        return self.house.poster.told(name)


@pytest.fixture
def room(house: House) -> Room:
    return Room(house)


@on_a_loop
async def test_a_prompt_is_answered_token_by_token_and_then_whole(room: Room) -> None:
    await room.connect("developer")
    await room.say({"prompt": "one two three", "model": "gpt-4o", "metadata": {"request_id": "job-7"}})
    *tokens, done = room.told()
    assert "".join(token["token"] for token in tokens) == "one two three"
    assert [token["index"] for token in tokens] == list(range(len(tokens)))
    assert all(token.keys() == {"token", "index"} for token in tokens)
    assert (done["done"], done["output"], done["tokens"]) == (True, "one two three", 6)
    assert (done["models_used"], done["metadata"]) == (["builtin/echo"], {"request_id": "job-7"})
    record = room.house.records[-1]
    assert (record.request_id, record.group, record.status, record.record_id) == ("job-7", "ask", 200, done["id"])
    assert [call["model"] for call in record.facts["calls"]] == ["builtin/echo"]


@on_a_loop
async def test_several_prompts_are_answered_one_after_another(room: Room) -> None:
    await room.connect("developer")
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(room.say({"prompt": f"prompt number {number}"}))
            await asyncio.sleep(0.002)
    outputs, tokens = [], ""
    for told in room.told():
        if "done" in told:
            assert tokens == told["output"]
            outputs.append(told["output"])
            tokens = ""
        else:
            tokens += told["token"]
    assert outputs == [f"prompt number {number}" for number in range(5)]


@on_a_loop
@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("{", "The message is not valid JSON"),
        ("", "The message is empty: it must be a JSON object"),
        (b"\xff\xfe", "The message is not UTF-8"),
        ("[]", "The message must be a JSON object"),
        ({}, "prompt: Field required"),
        ({"prompt": 7}, "prompt: Must be a string"),
        (
            {"prompt": "x", "model": "unknown"},
            "There is no model of this name: GET /api/v1/models lists those there are",
        ),
        ({"prompt": "x", "encryption": {}}, "Sealed prompts are taken at POST /api/v1/ask and POST /api/v1/stream"),
    ],
)
async def test_an_error_is_told_and_the_socket_stays_open(room: Room, message: Any, error: str) -> None:
    await room.connect("developer")
    await room.say(message)
    await room.say({"prompt": "still here"})
    first, *rest = room.told()
    assert first == {"status": "error", "error": error}
    assert rest[-1]["output"] == "still here"
    assert room.house.poster.closed == []


@on_a_loop
async def test_what_nobody_expected_is_told_as_no_more_than_that(room: Room) -> None:
    def broken(*_: Any) -> Any:
        raise LookupError("a secret")

    room.gateway.script = broken
    await room.connect("developer")
    await room.say({"prompt": "x"})
    assert room.told() == [{"status": "error", "error": "Internal server error"}]
    assert room.house.records[-1].status == 500


@on_a_loop
async def test_a_vendor_that_breaks_off_is_told_after_its_tokens(room: Room) -> None:
    room.gateway.script = lambda _ask, _terms: Failure(Kind.UPSTREAM, "all providers failed")
    await room.connect("developer")
    await room.say({"prompt": "x"})
    assert room.told() == [{"status": "error", "error": "all providers failed"}]
    assert room.house.records[-1].status == 502


@on_a_loop
async def test_who_may_not_ask_is_refused_before_the_socket_opens(room: Room) -> None:
    assert (await room.connect("viewer"))["statusCode"] == 403
    assert room.house.connections.rows == {}


@on_a_loop
async def test_prompts_count_like_requests(room: Room, configure: Configure) -> None:
    configure(rate_limit_ask=2)
    await room.connect("developer")
    for _ in range(2):
        await room.say({"prompt": "x"})
    assert room.told()[-1] == {"status": "error", "error": "Rate limit exceeded: 2 per 1 minute"}


@on_a_loop
async def test_a_revoked_key_closes_its_socket(room: Room) -> None:
    await room.connect("developer")
    kept = room.house.connections.rows["c1="].principal
    assert kept is not None
    room.house.tables.revise(kept.account, 9, closed=True)
    await room.say({"prompt": "x"})
    assert room.told() == [{"status": "error", "error": "These credentials have been revoked"}]
    assert room.house.poster.closed == ["c1="]


@on_a_loop
async def test_an_answer_that_no_message_holds_is_told_by_its_tokens_alone(room: Room) -> None:
    room.gateway.script = lambda _ask, _terms: "wörter " * 30_000
    await room.connect("developer")
    await room.say({"prompt": "x"})
    *tokens, last = room.told()
    assert "".join(token["token"] for token in tokens).rstrip() == ("wörter " * 30_000).rstrip()
    assert "128 KB" in last["error"]


@on_a_loop
async def test_leaving_hangs_up_on_the_model(room: Room) -> None:
    gateway = room.gateway = Slow()
    await room.connect("developer")
    asked = asyncio.create_task(room.say({"prompt": "one two three"}))
    await room.house.poster.news.wait()
    room.house.poster.gone.add("c1=")
    gateway.go_on.set()
    await asked
    assert gateway.left.is_set()
    assert room.house.connections.rows == {}
    assert room.house.records[-1].facts["cut_short"] is True
