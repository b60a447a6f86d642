"""What stays of a conversation when most of it is gone."""

from quintet.gateway.model import Ask, Terms
from quintet.personas.cast import cast
from quintet.personas.history import FOLDED_TO, text_of, turns
from quintet.personas.memory import Memory
from tests.fakes.gateway import Reply
from tests.loops import on_a_loop
from tests.unit.personas.room import PAYER, Room


def clerk(ask: Ask, _terms: Terms) -> Reply:
    return "Ada asked sixty things." if "notes" in str(ask.messages[0]["content"]) else "Fine."


def memory(room: Room) -> Memory:
    return Memory(cast(), room.gateway, room.conversations, room.notebook, room.talk.floor, room.clock)


async def talked(turns: int) -> Room:
    room = Room()
    room.gateway.script = clerk
    for number in range(turns):
        await room.say(f"q{number}")
    return room


@on_a_loop
async def test_old_turns_become_a_summary_that_the_next_turn_is_told() -> None:
    room = await talked(60)
    assert await memory(room).fold(room.line().key, PAYER, room.journal)
    session = await room.session()
    assert session.summary == "Ada asked sixty things."
    assert len(turns(session.messages)) == FOLDED_TO
    assert text_of(session.messages[0]) == "q20"
    await room.say("And?")
    assert "Ada asked sixty things." in str(room.gateway.asked[-1].ask.messages[0]["content"])
    assert not await memory(room).fold(room.line().key, PAYER, room.journal)


@on_a_loop
async def test_there_is_nothing_to_fold_in_a_short_or_unknown_conversation() -> None:
    room = await talked(3)
    assert not await memory(room).fold(room.line().key, PAYER, room.journal)
    assert not await memory(room).fold("nobody", PAYER, room.journal)


@on_a_loop
async def test_a_call_is_remembered_when_its_caller_calls_again() -> None:
    room = await talked(0)
    for summary, transcript in (("Wants a refund.", ""), ("", "User: where is it?")):
        await memory(room).remember(
            "", "+1", "tony", "c", summary=summary, transcript=transcript, payer=PAYER, journal=room.journal
        )
        room.clock.passes(seconds=1)
    await room.say("Me again")
    told = str(room.gateway.asked[-1].ask.messages[0]["content"])
    assert told.index("Wants a refund.") < told.index("Ada asked sixty things.")
    await room.say("Somebody else", "+2")
    assert "refund" not in str(room.gateway.asked[-1].ask.messages[0]["content"])
