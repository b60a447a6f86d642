"""What personas keep, the fake and the table alike."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from quintet.personas.cast import cast
from quintet.personas.model import Note, Post
from quintet.personas.ports import Calls, Marks, Notebook
from quintet.personas.store import notebook as table
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from tests.fakes.personas import FakeNotebook
from tests.loops import on_a_loop


class Kept(Notebook, Marks, Calls, Protocol): ...


@pytest.fixture(params=["fake", "table"])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    if request.param == "fake":
        yield FakeNotebook()
    else:
        request.getfixturevalue("quiet_tables")
        yield table


@pytest.fixture
def now() -> datetime:
    return SystemClock().now()


@on_a_loop
async def test_a_page_is_read_from_its_newest_note_on(kept: Kept, now: datetime) -> None:
    page = new_id("page", now)
    notes = [Note(f"note_{n}", "journal", f"entry {n}", now, {"n": n}) for n in range(4)]
    for note in [*notes, notes[2]]:
        await kept.write(page, note, now + timedelta(days=1))
    assert await kept.read(page, 3) == [notes[3], notes[2], notes[1]]
    assert await kept.read(new_id("page", now), 3) == []


@on_a_loop
async def test_goals_are_the_casts_until_others_are_set(kept: Kept) -> None:
    riley = cast().personas[4]
    assert await kept.goals(riley) == riley.goals
    await kept.set_goals(riley, ["Find out"])
    assert await kept.goals(riley) == ("Find out",)
    await kept.set_goals(riley, riley.goals)


@on_a_loop
async def test_a_persona_is_quiet_for_a_while_after_a_post(kept: Kept, now: datetime) -> None:
    def post(seconds: int) -> Post:
        at = now + timedelta(seconds=seconds)
        return Post(new_id("post", at), who, f"after {seconds}", at)

    who, quiet = new_id("persona", now), timedelta(minutes=10)
    first, refused, second = post(0), post(599), post(600)
    assert await kept.post(first, first.at + quiet)
    assert not await kept.post(refused, refused.at + quiet)
    assert await kept.post(second, second.at + quiet)
    page = await kept.feed(1, None, who)
    assert page.items == [second]
    assert (await kept.feed(1, page.after, who)).items == [first]
    assert first in (await kept.feed(100, None, None)).items


@on_a_loop
async def test_of_all_who_claim_a_mark_one_gets_it(kept: Kept, now: datetime) -> None:
    mark, minute, day = new_id("slot", now), timedelta(minutes=1), now + timedelta(days=1)
    assert await kept.claim(mark, now, now + minute, day)
    assert not await kept.claim(mark, now, now + minute, day)
    later = now + minute
    assert await kept.claim(mark, later, later + minute, day)  # whoever had it has not finished
    await kept.finish(mark)
    assert not await kept.claim(mark, later + minute, later + 2 * minute, day)
    await kept.drop(mark)
    assert await kept.claim(mark, later, later + minute, day)


@on_a_loop
async def test_what_is_known_of_a_call_grows(kept: Kept, now: datetime) -> None:
    call = new_id("call", now)
    assert await kept.find(call) == {}
    await kept.note(call, {"phone": "+14155551234"}, now)
    await kept.note(call, {"scope": "svc", "persona": "maya"}, now)
    await kept.note(call, {}, now)
    assert await kept.find(call) == {"phone": "+14155551234", "scope": "svc", "persona": "maya"}
