"""What personas can do by themselves: what a model writes is checked, and nothing that fails is raised."""

import json
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.model import Ask, Terms
from quintet.personas.cast import cast
from quintet.personas.doing import Doing, Line
from quintet.personas.model import Metrics, Note, Status
from quintet.personas.tools.box import Tool, Toolbox
from quintet.personas.tools.own import journal_page
from tests.fakes.gateway import FakeGateway, Reply
from tests.loops import on_a_loop
from tests.unit.personas.room import PAYER, Room

TONY = cast().first


def doing(room: Room, *permissions: str) -> Doing:
    line = Line(TONY, "+1", permissions=frozenset(permissions))
    return Doing.within(line, 20, PAYER, room.journal)


async def use(room: Room, name: str, told: Any = None, *permissions: str) -> str:
    arguments = told if isinstance(told, str) else json.dumps(told or {})
    return await room.talk.toolbox.use(name, arguments, doing(room, *permissions))


@on_a_loop
async def test_a_persona_knows_the_time_where_it_is_and_elsewhere() -> None:
    room = Room()
    assert await use(room, "current_time") == "Sunday, 2026-11-29 02:00 in America/Los_Angeles"
    assert await use(room, "current_time", {"timezone": "Asia/Tokyo"}) == "Sunday, 2026-11-29 19:00 in Asia/Tokyo"
    for odd in ("Mars", 3, "../etc/passwd", "/etc/localtime"):
        assert "no such time zone" in await use(room, "current_time", {"timezone": odd})


@on_a_loop
async def test_goals_and_the_journal_are_kept() -> None:
    room = Room()
    assert "- Retire one legacy service" in await use(room, "my_goals")
    assert await use(room, "set_my_goals", {"goals": ["Sleep"]}) == "There is no tool set_my_goals."
    assert await use(room, "set_my_goals", {"goals": ["Sleep"]}, "configure_agents") == "You have 1 goals now."
    assert await use(room, "my_goals") == "- Sleep"
    assert await use(room, "read_journal") == "It is empty."
    await use(room, "write_journal", {"entry": "Nobody called."})
    assert await use(room, "read_journal", {"count": 1}) == "2026-11-29 10:00: Nobody called."


@on_a_loop
async def test_the_team_is_seen_and_asked() -> None:
    room = Room(FakeGateway(lambda ask, _: f"So what? {ask.messages[-1]['content']}"))
    answer = await use(room, "ask_colleague", {"name": "maya", "question": "Ship it?"})
    assert answer == "Maya: So what? Your colleague Tony asks you: Ship it?"
    (process,) = room.processes.rows.values()
    assert (process.agent, process.status, process.metrics.llm_calls) == ("Maya", Status.COMPLETED, 1)
    assert await use(room, "team_processes") == "0 processes are running."
    for odd in ("tony", "nobody"):
        assert "one of your colleagues" in await use(room, "ask_colleague", {"name": odd, "question": "?"})


@on_a_loop
async def test_a_colleague_who_cannot_answer_is_a_failed_process_and_a_sentence() -> None:
    def script(_ask: Ask, _terms: Terms) -> Reply:
        return Failure(Kind.UPSTREAM, "all providers failed")

    room = Room(FakeGateway(script))
    assert await use(room, "ask_colleague", {"name": "maya", "question": "?"}) == "Not done: all providers failed"
    assert [each.status for each in room.processes.rows.values()] == [Status.FAILED]


@on_a_loop
async def test_a_task_is_created_for_those_who_may_create_one() -> None:
    room = Room()
    told = {"title": "Mend it", "description": "It is broken."}
    assert await use(room, "create_task", told) == "There is no tool create_task."
    assert await use(room, "create_task", told, "create_task") == "Task task_1 is created."
    assert room.tasks.created == [("Mend it", "It is broken.")]
    for may in ((), ("create_task",)):
        offered = [each["function"]["name"] for each in room.talk.toolbox.offered(doing(room, *may).line)]
        assert ("create_task" in offered) is bool(may)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("fly", "{}", "There is no tool fly."),
        ("n" * 900, "{}", f"There is no tool {'n' * 64}."),
        ("write_journal", "{", "not valid JSON"),
        ("write_journal", "[]", "must be a JSON object"),
        ("write_journal", "{}", "entry is missing"),
        ("write_journal", '{"entry": 3}', "entry must be a text"),
        ("write_journal", json.dumps({"entry": "x" * 2001}), "longer than 2000"),
        ("set_my_goals", '{"goals": []}', "1 to 20"),
        ("set_my_goals", '{"goals": "win"}', "1 to 20"),
        ("set_my_goals", '{"goals": [1]}', "must be a text"),
        ("read_journal", '{"count": 99}', "from 1 to 10"),
        ("read_journal", '{"count": true}', "from 1 to 10"),
        ("ask_colleague", '{"name": [], "question": "?"}', "name must be a text"),
    ],
)
def test_what_a_model_gets_wrong_is_told_to_it(name: str, arguments: str, told: str) -> None:
    @on_a_loop
    async def test() -> None:
        assert told in await use(Room(), name, arguments, "configure_agents")

    test()


@on_a_loop
async def test_a_tool_that_breaks_is_told_to_the_model_alone() -> None:
    async def breaks(*_: Any) -> str:
        raise RuntimeError("secret detail")

    async def talks(*_: Any) -> str:
        return "x" * 10_000

    room = Room()
    box = Toolbox([Tool("breaks", "", breaks, {}), Tool("talks", "", talks, {})])
    assert await box.use("breaks", "{}", doing(room)) == "Not done: the tool failed."
    assert len(await box.use("talks", "{}", doing(room))) == 6_000


@on_a_loop
async def test_what_a_turn_may_spend_shrinks_with_what_was_spent() -> None:
    room = Room()
    now = doing(room)
    before = now.terms()
    now.metrics += Metrics(cost=20_000_000)
    now.spent += 40_000_000
    assert (before.max_budget, now.terms().max_budget) == (50_000_000, 0)
    now.deadline -= 30
    with pytest.raises(Failure) as late:
        now.terms()
    assert late.value.kind is Kind.TIMEOUT


@on_a_loop
async def test_a_journal_is_its_personas_own() -> None:
    room = Room()
    note = Note("n", "journal", "Maya's secret", room.clock.now())
    await room.notebook.write(journal_page(cast().personas[1]), note, None)
    assert await use(room, "read_journal") == "It is empty."
