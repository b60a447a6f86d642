"""What every room may rely on, of the fake gateway that its tests use and of the real one over a real vendor."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.model import Ask, Choice, Gateway, Payer, Terms, ToolCall
from tests.fakes.gateway import FakeGateway, FakeJournal
from tests.fakes.gateway_core import World
from tests.fakes.upstream import Behaviour, Upstream, upstream
from tests.fakes.wires import Told
from tests.loops import on_a_loop

PAYER = Payer("somebody", "user#somebody")
ASK = Ask([{"role": "user", "content": "Say it"}])
TERMS = Terms(model="gpt-test")
WEATHER = ToolCall("call_1", "weather", '{"city": "Oslo"}')

Saying = Callable[[str, ToolCall | None], Gateway]


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(params=["fake", "real"])
def saying(request: pytest.FixtureRequest, vendor: Upstream, vendors_may_be_near: None) -> Saying:
    """A gateway whose model says this, and perhaps calls a tool; an empty text is a vendor that is down."""

    def fake(text: str, tool: ToolCall | None) -> Gateway:
        if not text:
            return FakeGateway(lambda _ask, _terms: Failure(Kind.UPSTREAM, "'gpt-test' failed"), model="gpt-test")
        choice = Choice(text, (tool,), "tool_calls") if tool else Choice(text)
        return FakeGateway(lambda _ask, _terms: choice, model="gpt-test")

    def real(text: str, tool: ToolCall | None) -> Gateway:
        calls = ((tool.id, tool.name, {"city": "Oslo"}),) if tool else ()
        vendor.always["gpt-test"] = Behaviour(told=Told(text=text, tool_calls=calls)) if text else Behaviour("refused")
        if not text:
            vendor.always["gpt-test"] = Behaviour("unauthorized")
        world = World()
        world.add("gpt-test", url=vendor.openai)
        return world.gateway

    return fake if request.param == "fake" else real


@on_a_loop
async def test_an_answer_is_told_whole_and_noted_once(saying: Saying) -> None:
    journal = FakeJournal()
    done = await saying("It is said", None).complete(ASK, TERMS, PAYER, journal, call_id="call_1")
    assert (done.content, done.finish_reason, done.call_id, done.model) == ("It is said", "stop", "call_1", "gpt-test")
    assert done.usage.total > 0
    (noted,) = journal.calls
    assert (noted["call_id"], noted["model"], noted["cost"]) == ("call_1", "gpt-test", done.cost)
    assert noted["input_tokens"] == done.usage.input


@on_a_loop
async def test_a_call_without_a_name_gets_one(saying: Saying) -> None:
    done = await saying("It is said", None).complete(ASK, TERMS, PAYER, FakeJournal())
    assert done.call_id.startswith("call_")


@on_a_loop
async def test_a_stream_says_the_same_piece_by_piece(saying: Saying) -> None:
    journal = FakeJournal()
    async with saying("It is said", None).stream(ASK, TERMS, PAYER, journal, call_id="call_2") as stream:
        deltas = [delta async for delta in stream]
        assert (stream.model, stream.call_id) == ("gpt-test", "call_2")
        assert stream.estimated >= 0
        assert stream.reason
    assert "".join(delta.text for delta in deltas) == stream.completion.content == "It is said"
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert stream.completion.cost >= 0
    assert [noted["call_id"] for noted in journal.calls] == ["call_2"]


@on_a_loop
async def test_a_tool_call_arrives_whole_and_in_pieces(saying: Saying) -> None:
    gateway = saying("Let me see", WEATHER)
    done = await gateway.complete(ASK, TERMS, PAYER, FakeJournal())
    assert done.finish_reason == "tool_calls"
    assert [(call.id, call.name) for call in done.tool_calls] == [("call_1", "weather")]
    async with gateway.stream(ASK, TERMS, PAYER, FakeJournal()) as stream:
        pieces = [delta async for delta in stream if delta.tool_index is not None]
    assert (pieces[0].tool_index, pieces[0].tool_id, pieces[0].tool_name) == (0, "call_1", "weather")
    assert "".join(piece.tool_arguments for piece in pieces) == stream.completion.tool_calls[0].arguments
    assert stream.completion.finish_reason == "tool_calls"


@on_a_loop
async def test_a_failure_is_raised_where_it_is_met(saying: Saying) -> None:
    gateway = saying("", None)
    with pytest.raises(Failure) as whole:
        await gateway.complete(ASK, TERMS, PAYER, FakeJournal())
    assert whole.value.kind is Kind.UPSTREAM
    with pytest.raises(Failure) as streamed:
        async with gateway.stream(ASK, TERMS, PAYER, FakeJournal()):
            pytest.fail("entering it connects")
    assert streamed.value.kind is Kind.UPSTREAM


@on_a_loop
async def test_a_reader_may_leave_early_and_it_is_noted_all_the_same(saying: Saying) -> None:
    journal = FakeJournal()
    told: Any = None
    async with saying("one two three four", None).stream(ASK, TERMS, PAYER, journal, call_id="call_3") as stream:
        async for delta in stream:
            told = delta
            break
    assert told.text
    assert [noted["call_id"] for noted in journal.calls] == ["call_3"]
