"""Sessions and processes, the fakes and the tables alike: one has the floor, and nothing is counted twice."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from quintet.personas.cast import cast
from quintet.personas.model import IDLE, Metrics, Process, Session, Status
from quintet.personas.ports import Conversations, Processes
from quintet.personas.processes import begun
from quintet.personas.store import conversations, processes
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from tests.fakes.personas import FakeConversations, FakeProcesses
from tests.loops import on_a_loop

COST = Metrics(input_tokens=10, output_tokens=5, llm_calls=1, tool_calls=2, cost=70)


@dataclass
class Stores:
    conversations: Conversations
    processes: Processes

    async def session(self, now: datetime, turn: str = "t1") -> Session:
        """Somebody new, whose floor `turn` has."""
        process = begun(cast().first, "chat", "Answer a chat", now)
        session = Session("", new_id("caller", now), "tony", process.id, now, now + IDLE)
        assert await self.conversations.take(session.key, turn, now, now + timedelta(seconds=6)) == (True, None)
        assert await self.conversations.open(turn, session, process)
        return session

    async def process(self, session: Session) -> Process:
        found = await self.processes.get(session.process_id)
        assert found is not None
        return found


@pytest.fixture(params=["fake", "table"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "fake":
        fake = FakeProcesses()
        yield Stores(FakeConversations(fake), fake)
    else:
        request.getfixturevalue("quiet_tables")
        yield Stores(conversations, processes)


@pytest.fixture
def now() -> datetime:
    return SystemClock().now()


@on_a_loop
async def test_what_a_turn_commits_is_what_the_next_one_takes(stores: Stores, now: datetime) -> None:
    session = await stores.session(now)
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Grüße 👋"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]},
    ]
    after = replace(session.with_messages(messages, now), summary="knows Ada")
    assert await stores.conversations.commit("t1", after, COST)
    await stores.conversations.give_back(session.key, "t1")
    assert await stores.conversations.take(session.key, "t2", now, now + IDLE) == (True, after)


@on_a_loop
async def test_one_turn_at_a_time(stores: Stores, now: datetime) -> None:
    session = await stores.session(now)
    assert await stores.conversations.take(session.key, "t2", now, now + IDLE) == (False, None)
    assert not await stores.conversations.commit("t2", session, COST)
    await stores.conversations.give_back(session.key, "t2")
    assert await stores.conversations.commit("t1", session, COST)
    await stores.conversations.give_back(session.key, "t1")
    taken, _ = await stores.conversations.take(session.key, "t2", now, now + IDLE)
    assert taken


@on_a_loop
async def test_a_lease_that_is_over_is_anybodys_and_a_renewed_one_is_not(stores: Stores, now: datetime) -> None:
    session = await stores.session(now)
    await stores.conversations.renew(session.key, "t1", now + timedelta(seconds=20))
    later = now + timedelta(seconds=10)
    assert not (await stores.conversations.take(session.key, "t2", later, later + IDLE))[0]
    later = now + timedelta(seconds=21)
    assert (await stores.conversations.take(session.key, "t2", later, later + IDLE))[0]
    assert not await stores.conversations.commit("t1", session, COST)


@on_a_loop
async def test_a_turn_is_counted_on_its_process(stores: Stores, now: datetime) -> None:
    session = await stores.session(now)
    for number in range(1, 3):
        session = session.with_messages([], now + timedelta(seconds=number))
        assert await stores.conversations.commit("t1", session, COST)
    process = await stores.process(session)
    assert process.metrics == COST + COST
    assert process.active_until == session.active_until
    assert process.status_at(now) is Status.RUNNING
    assert process.status_at(session.active_until) is Status.COMPLETED


@on_a_loop
async def test_an_ended_session_and_its_process_are_over(stores: Stores, now: datetime) -> None:
    session = await stores.session(now)
    await stores.conversations.end(session.key, now + timedelta(seconds=9))
    await stores.conversations.end("nobody", now)
    process = await stores.process(session)
    assert (process.status, process.lasted(now + IDLE)) == (Status.COMPLETED, timedelta(seconds=9))
    found = await stores.conversations.get(session.key)
    assert found is not None
    assert not found.active_at(now + timedelta(seconds=9))


@on_a_loop
async def test_lists_have_the_latest_first_page_by_page(stores: Stores, now: datetime) -> None:
    future = now + timedelta(days=3650)
    made = [await stores.session(future + timedelta(seconds=number)) for number in range(7)]
    cursor, found = None, []
    for _ in range(4):
        page = await stores.conversations.active(future, 2, cursor)
        found += [each.caller_id for each in page.items]
        cursor = page.after
    assert cursor is None
    assert found == [each.caller_id for each in reversed(made)]
    first = await stores.processes.page(3, None)
    assert [each.id for each in first.items] == [each.process_id for each in reversed(made)][:3]
    second = await stores.processes.page(3, first.after)
    assert [each.id for each in second.items] == [each.process_id for each in reversed(made)][3:6]
    assert await stores.conversations.count(future) == 7
    assert await stores.processes.count(future) == 7
    assert await stores.processes.count(future + IDLE + timedelta(seconds=3)) == 3
    for each in made:  # out of the way of other tests' lists
        await stores.conversations.end(each.key, now)


@on_a_loop
async def test_a_process_of_a_taken_id_does_not_begin(stores: Stores, now: datetime) -> None:
    process = begun(cast().first, "life", "news", now)
    assert await stores.processes.begin(process)
    assert not await stores.processes.begin(process)
    await stores.processes.end(process.id, Status.FAILED, COST, now)
    found = await stores.processes.get(process.id)
    assert found == replace(process, status=Status.FAILED, metrics=COST, active_until=now, ended_at=now)
    assert await stores.processes.get("00000000") is None
