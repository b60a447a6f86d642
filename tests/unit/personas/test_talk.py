"""A turn: what it adds to a conversation, what it costs, and how it ends when it does not end well."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.model import Ask, Choice, Terms
from quintet.personas import history
from quintet.personas.model import IDLE, Status
from quintet.personas.talk import MOST_ROUNDS
from tests.fakes.gateway import FakeGateway, Reply
from tests.loops import on_a_loop
from tests.unit.personas.room import Room, calls

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


class Script:
    """Answers one after another, the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def __call__(self, _ask: Ask, _terms: Terms) -> Reply:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def shown(room: Room, call: int = -1) -> list[str]:
    """What the model saw beside its instructions."""
    return [history.text_of(each) for each in room.gateway.asked[call].ask.messages[1:]]


@on_a_loop
async def test_a_persona_knows_who_it_is_and_what_was_said() -> None:
    room = Room()
    await room.say("Hello")
    await room.say("And now?", temperature=0.1)
    assert shown(room) == ["Hello", "Hello", "And now?"]
    first = room.gateway.asked[0]
    assert "You are Tony, the CTO." in str(first.ask.messages[0]["content"])
    assert (first.ask.temperature, room.gateway.asked[1].ask.temperature) == (0.6, 0.1)
    assert (first.payer.principal, first.payer.session) == ("p", "+1")


@on_a_loop
async def test_the_result_of_a_call_in_the_deprecated_form_reaches_the_model() -> None:
    """It has no ids, and one call at a time."""
    room = Room(FakeGateway(Script(calls(("weather", "{}"), ("weather", '{"day":1}')), "Sunny.")))
    question = {"role": "user", "content": "How is the weather?"}
    call = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}}
    await room.say([question], functions=[TOOL["function"]])
    await room.say(
        [question, call, {"role": "function", "name": "weather", "content": "sun"}], functions=[TOOL["function"]]
    )
    last = room.gateway.asked[-1].ask.messages[1:]
    assert [each["role"] for each in last] == ["user", "assistant", "tool"]
    assert [each["id"] for each in last[1]["tool_calls"]] == [last[2]["tool_call_id"]]


@on_a_loop
async def test_callers_do_not_hear_each_other() -> None:
    room = Room()
    for number in range(500):
        assert (await room.say(f"I am {number}", f"caller-{number}")).choices[0].content == f"I am {number}"
    assert await room.conversations.count(room.clock.now()) == 500
    assert len(room.processes.rows) == 500


@on_a_loop
async def test_a_callers_own_instructions_hold_for_one_request() -> None:
    room = Room()
    await room.say([{"role": "system", "content": "Speak French."}, {"role": "user", "content": "Hello"}])
    await room.say("Again")
    said = [str(each.ask.messages[0]["content"]) for each in room.gateway.asked]
    assert ["Speak French." in each for each in said] == [True, False]


@on_a_loop
async def test_messages_of_one_caller_wait_for_each_other_in_their_order() -> None:
    room = Room()
    await asyncio.gather(*(room.say(f"m{number}") for number in range(50)))
    session = await room.session()
    said = [history.text_of(each) for each in session.messages]
    assert said == [f"m{number}" for number in range(50) for _ in range(2)]
    assert [each["role"] for each in session.messages] == ["user", "assistant"] * 50
    assert (await room.process()).metrics.llm_calls == 50


@on_a_loop
async def test_whoever_waits_too_long_is_told_when_to_come_back() -> None:
    room = Room(patience=0.05)
    async with room.begin("slow " * 200) as turn:
        await turn.ready()
        with pytest.raises(Failure) as refused:
            await room.say("fast")
    assert (refused.value.kind, refused.value.retry_after) == (Kind.CONFLICT, 1)
    assert (await room.say("again")).choices[0].content == "again"


@on_a_loop
async def test_a_process_that_dies_in_the_middle_leaves_a_session_that_works() -> None:
    room = Room(patience=0.2)
    await room.say("Hello")
    now = room.clock.now()
    await room.conversations.take(room.line().key, "killed", now, now)  # its lease ends, and nobody gives it back
    room.clock.passes(seconds=7)
    await room.say("Still there?")
    assert shown(room) == ["Hello", "Hello", "Still there?"]


@on_a_loop
async def test_a_caller_who_leaves_has_heard_what_was_said_so_far() -> None:
    room = Room(FakeGateway(Script("one two three four " * 50)))
    async with room.begin("Count") as turn:
        await turn.ready()
        await anext(aiter(turn))
    session = await room.session()
    assert [each["role"] for each in session.messages] == ["user", "assistant"]
    heard = str(session.messages[1]["content"])
    assert heard.startswith("one two")
    assert len(heard) < 19 * 50
    assert room.gateway.cancelled
    room.gateway.script = Script("Fine.")
    await room.say("Stop")
    assert shown(room) == ["Count", heard, "Stop"]


@on_a_loop
async def test_a_question_that_failed_is_not_kept_and_the_next_one_works() -> None:
    room = Room(FakeGateway(Script(Failure(Kind.UPSTREAM, "all providers failed"), "Here I am.")))
    with pytest.raises(Failure, match="all providers failed"):
        await room.say("Hello")
    assert [each.status for each in room.processes.rows.values()] == [Status.FAILED]
    assert (await room.say("Hello?")).choices[0].content == "Here I am."
    assert shown(room) == ["Hello?"]
    assert await room.processes.count(room.clock.now()) == 1


@on_a_loop
async def test_an_idle_session_ends_and_a_new_one_has_a_new_process() -> None:
    room = Room()
    await room.say("Hello")
    first = await room.process()
    room.clock.passes(seconds=IDLE.total_seconds())
    assert first.status_at(room.clock.now()) is Status.COMPLETED
    await room.say("Back")
    assert (await room.process()).id != first.id
    assert shown(room) == ["Back"]


@on_a_loop
async def test_tokens_calls_and_money_are_counted_over_all_rounds() -> None:
    room = Room(FakeGateway(Script(calls(("current_time", "{}")), "It is ten.")))
    outcome = await room.say("What time is it?")
    done = list(room.gateway.done.values())
    metrics = (await room.process()).metrics
    assert (metrics.llm_calls, metrics.tool_calls) == (2, 1)
    assert metrics.input_tokens == outcome.usage.input == sum(each.usage.input for each in done)
    assert metrics.output_tokens == outcome.usage.output == sum(each.usage.output for each in done)
    assert metrics.cost == sum(each.cost for each in done)


@on_a_loop
async def test_own_tools_run_inside_and_leave_no_trace_in_the_conversation() -> None:
    room = Room(
        FakeGateway(Script(calls(("current_time", '{"timezone": "Europe/Berlin"}'), text="Let me look."), "Eleven."))
    )
    async with room.begin("Time?") as turn:
        pieces = [delta async for delta in turn]
    assert "".join(each.text for each in pieces) == "Let me look.Eleven."
    assert all(each.tool_index is None for each in pieces)
    assert shown(room)[-1] == "Sunday, 2026-11-29 11:00 in Europe/Berlin"
    assert [each["content"] for each in (await room.session()).messages] == ["Time?", "Eleven."]


@on_a_loop
async def test_a_persona_that_never_stops_using_tools_is_stopped() -> None:
    room = Room(FakeGateway(Script(calls(("my_goals", "{}")))))
    outcome = await room.say("Go")
    assert len(room.gateway.asked) == MOST_ROUNDS + 1
    assert room.gateway.asked[-1].ask.tool_choice == "none"
    assert outcome.choices[0].tool_calls == ()
    assert outcome.choices[0].finish_reason == "stop"


@on_a_loop
async def test_the_callers_tools_are_the_callers_to_run() -> None:
    room = Room(FakeGateway(Script(calls(("my_goals", "{}"), ("weather", '{"city":"Oslo"}')), "Sunny.")))
    async with room.begin("Weather?", tools=[TOOL]) as turn:
        pieces = [delta async for delta in turn]
    told = [(each.tool_index, each.tool_name) for each in pieces if each.tool_index is not None]
    assert told == [(0, "weather")]
    (call,) = turn.outcome.choices[0].tool_calls
    assert turn.outcome.choices[0].finish_reason == "tool_calls"
    await room.say([{"role": "tool", "tool_call_id": call.id, "content": "22 degrees"}], tools=[TOOL])
    assert [each["role"] for each in room.gateway.asked[-1].ask.messages[1:]] == ["user", "assistant", "tool"]


@on_a_loop
async def test_a_tool_call_that_the_caller_forgets_does_not_poison_the_session() -> None:
    room = Room(FakeGateway(Script(calls(("weather", "{}")), "Never mind.")))
    await room.say("Weather?", tools=[TOOL])
    await room.say("Forget it")
    assert shown(room) == ["Weather?", "Forget it"]
    assert all("tool_calls" not in each for each in room.gateway.asked[-1].ask.messages)


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"response_format": {"type": "json_object"}},
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": "none"},
    ],
)
def test_whoever_demands_a_form_gets_no_tools_of_ours(more: dict[str, Any]) -> None:
    @on_a_loop
    async def test() -> None:
        room = Room()
        await room.say("Hello", **more)
        assert list(room.gateway.asked[0].ask.tools) == more.get("tools", [])

    test()


@on_a_loop
async def test_a_model_without_tools_is_a_persona_without_tools() -> None:
    def no_tools(ask: Ask, _terms: Terms) -> Reply:
        return Failure(Kind.UPSTREAM, "no eligible models", code="no_eligible_models") if ask.tools else "Plain."

    room = Room(FakeGateway(no_tools))
    assert (await room.say("Hello")).choices[0].content == "Plain."


@on_a_loop
async def test_a_long_conversation_asks_for_a_summary_and_shows_the_newest_turns() -> None:
    room = Room()
    for number in range(60):
        await room.say(f"q{number}")
    assert room.inbox.jobs[0] == {"kind": "fold", "session": room.line().key}
    assert len(room.inbox.jobs) == 10
    assert shown(room)[0] == "q10"


@on_a_loop
async def test_the_last_piece_alone_says_how_it_ended() -> None:
    room = Room(FakeGateway(Script(Choice("Yes."))))
    async with room.begin("Well?") as turn:
        pieces: Sequence[Any] = [delta async for delta in turn]
    assert pieces[-1].finish_reason == "stop"
    assert [each.finish_reason for each in pieces[:-1]] == [None] * (len(pieces) - 1)
