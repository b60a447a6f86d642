"""What keeps agents, over the fake and over the table: of two that follow the same state, one is first."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from quintet.policy.model import Agent, Change, Lost, NamedStep, Ref, Taken
from quintet.policy.stepping import AgentStore
from quintet.policy.store import Agents
from tests.fakes.policy import FakeAgents
from tests.loops import on_a_loop

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
STATE = bytes(range(256)) * 3  # no float of it is anything nice


@pytest.fixture(params=["fake", "table"])
def agents(request: pytest.FixtureRequest) -> AgentStore:
    if request.param == "fake":
        return FakeAgents()
    request.getfixturevalue("quiet_tables")
    return Agents()


@pytest.fixture
def key() -> str:
    return f"user#{secrets.token_hex(8)}|an agent"


def agent(version: int = 0, *, life: str = "first", at: datetime = NOW, state: bytes = STATE) -> Agent:
    return Agent(
        ref=Ref("cartpole", "1"),
        digest="0123456789abcdef",
        life=life,
        version=version,
        state=state,
        mark=secrets.token_hex(8),
        born_at=NOW,
        at=at,
        expires_at=at + timedelta(days=30),
        seed=None if version == 0 else 2**53 - 1,
    )


@on_a_loop
async def test_what_is_written_comes_back_bit_by_bit(agents: AgentStore, key: str) -> None:
    written = agent(3)
    await agents.write(Change(key, None, written))
    assert await agents.read(key) == written
    assert await agents.read(key + "x") is None


@on_a_loop
async def test_a_state_follows_the_one_that_it_says_it_follows(agents: AgentStore, key: str) -> None:
    first, second = agent(0), agent(1)
    await agents.write(Change(key, None, first))
    await agents.write(Change(key, first, second))
    for before in (None, first, second._replace(life="another")):
        with pytest.raises(Lost) as lost:
            await agents.write(Change(key, before, agent(2)))
        assert lost.value.now == {key: second}
    assert await agents.read(key) == second


@on_a_loop
async def test_who_steps_what_is_gone_hears_that_it_is(agents: AgentStore, key: str) -> None:
    with pytest.raises(Lost) as lost:
        await agents.write(Change(key, agent(4), agent(5)))
    assert lost.value.now == {key: None}


@on_a_loop
async def test_an_expired_agent_makes_room_for_a_new_one(agents: AgentStore, key: str) -> None:
    await agents.write(Change(key, None, agent(7)))
    later = NOW + timedelta(days=30)
    begun = agent(1, life="second", at=later)
    with pytest.raises(Lost):
        await agents.write(Change(key, None, begun._replace(at=later - timedelta(seconds=1))))
    await agents.write(Change(key, None, begun))
    assert await agents.read(key) == begun


@on_a_loop
async def test_of_many_that_follow_one_state_one_is_first(agents: AgentStore, key: str) -> None:
    first = agent(0)
    await agents.write(Change(key, None, first))
    tries = [Change(key, first, agent(1)) for _ in range(12)]
    done = await asyncio.gather(*(agents.write(change) for change in tries), return_exceptions=True)
    won = [change.after for change, outcome in zip(tries, done, strict=True) if outcome is None]
    assert len(won) == 1
    assert await agents.read(key) == won[0]
    assert all(isinstance(outcome, Lost) for outcome in done if outcome is not None)


@on_a_loop
async def test_a_repeated_write_meets_its_own_first_try_and_is_content(agents: AgentStore, key: str) -> None:
    if isinstance(agents, FakeAgents):
        return  # the fake never loses an answer
    change = Change(key, None, agent(0))
    await agents.write(change)
    await agents.write(change)


@on_a_loop
async def test_a_reset_takes_the_place_of_whatever_was_there(agents: AgentStore, key: str) -> None:
    old, new = agent(9), agent(0, life="second")
    await agents.write(Change(key, None, old))
    await agents.replace(key, new)
    with pytest.raises(Lost) as lost:
        await agents.write(Change(key, old, agent(10)))
    assert lost.value.now == {key: new}


@on_a_loop
async def test_a_removed_agent_is_gone(agents: AgentStore, key: str) -> None:
    await agents.write(Change(key, None, agent(1)))
    await agents.remove(key)
    await agents.remove(key)
    assert await agents.read(key) is None


@on_a_loop
async def test_a_named_step_is_taken_once_in_a_life(agents: AgentStore, key: str) -> None:
    first, second = agent(0), agent(1)
    step = NamedStep("step-1", "asked", {"action": 1, "value": 0.1, "numbers": [0.5, -0.25]})
    await agents.write(Change(key, None, first))
    await agents.write_named(Change(key, first, second), step)
    for before in (second, first):  # whether or not the repeated one follows what there is
        with pytest.raises(Taken) as taken:
            await agents.write_named(Change(key, before, agent(2)), NamedStep("step-1", "other", {}))
        assert (taken.value.fingerprint, taken.value.answer) == ("asked", step.answer)
    assert await agents.read(key) == second
    reborn = agent(0, life="second")
    await agents.replace(key, reborn)
    await agents.write_named(Change(key, reborn, agent(1, life="second")), step)


@on_a_loop
async def test_a_named_step_that_lost_its_race_is_not_taken(agents: AgentStore, key: str) -> None:
    first, second = agent(0), agent(1)
    await agents.write(Change(key, None, first))
    await agents.write(Change(key, first, second))
    with pytest.raises(Lost) as lost:
        await agents.write_named(Change(key, first, agent(1)), NamedStep("late", "asked", {}))
    assert lost.value.now == {key: second}
    await agents.write_named(Change(key, second, agent(2)), NamedStep("late", "asked", {}))


@on_a_loop
async def test_many_are_read_and_written_at_once(agents: AgentStore, key: str) -> None:
    keys = [f"{key}{number}" for number in range(130)]
    written = {each: agent(1, state=secrets.token_bytes(704)) for each in keys}
    await agents.write_many([Change(each, None, one) for each, one in written.items()])
    assert await agents.read_many([*keys, "nobody's"]) == written


@on_a_loop
async def test_what_lost_names_was_not_written_and_the_rest_was(agents: AgentStore, key: str) -> None:
    keys = [f"{key}{number}" for number in range(110)]
    taken = agent(5)
    await agents.write(Change(keys[0], None, taken))
    begun = {each: agent(1) for each in keys}
    with pytest.raises(Lost) as lost:
        await agents.write_many([Change(each, None, begun[each]) for each in keys])
    assert lost.value.now[keys[0]] == taken
    there = await agents.read_many(keys)
    for each in keys:
        assert (each in lost.value.now) == (there.get(each) != begun[each])


@on_a_loop
async def test_large_states_fit_into_their_transactions(agents: AgentStore, key: str) -> None:
    keys = [f"{key}{number}" for number in range(100)]
    large = {each: agent(1, state=secrets.token_bytes(34_816)) for each in keys}
    await agents.write_many([Change(each, None, one) for each, one in large.items()])
    assert await agents.read_many(keys) == large
