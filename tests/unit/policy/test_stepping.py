"""Steps over fakes: what is read, what is written, and who is first."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.policy.model import ANY, Order, Ref, Spent, Wanted
from tests.loops import on_a_loop
from tests.unit.policy.conftest import DEFAULT, SEEN, House, named


@on_a_loop
async def test_default_exists_before_anybody_has_called_for_it(house: House) -> None:
    assert (await house.step(DEFAULT)).version == 1
    assert (await house.step(DEFAULT)).version == 2


@on_a_loop
async def test_any_other_agent_must_be_reset_first(house: House) -> None:
    with pytest.raises(Failure) as refused:
        await house.step(named("unknown_agent"))
    assert refused.value.kind is Kind.REJECTED
    assert refused.value.message == "Agent 'unknown_agent' not initialized. Call /reset first."
    await house.reset(named("unknown_agent"))
    assert (await house.step(named("unknown_agent"))).version == 1


@on_a_loop
async def test_a_warm_step_is_one_write_and_no_read(house: House) -> None:
    await house.step(DEFAULT)
    house.agents.reads = house.agents.writes = 0
    for step_id in (None, None, "a name", None):
        await house.step(DEFAULT, step_id=step_id)
    assert (house.agents.reads, house.agents.writes) == (0, 4)


@on_a_loop
async def test_a_lost_race_needs_no_read_either(house: House) -> None:
    other = house.instance()
    await house.step(DEFAULT)
    await house.step(DEFAULT, by=other)
    house.agents.reads = house.agents.writes = 0
    assert (await house.step(DEFAULT)).version == 3
    assert (house.agents.reads, house.agents.writes) == (0, 2)


@on_a_loop
async def test_no_step_of_many_instances_is_lost(house: House) -> None:
    instances = [house.instance() for _ in range(8)]
    done = await asyncio.gather(*(house.step(DEFAULT, by=instances[number % 8]) for number in range(200)))
    assert sorted(step.version for step in done) == list(range(1, 201))
    assert house.agents.rows[DEFAULT.key].version == 200


@on_a_loop
async def test_a_replay_ends_in_the_same_bits(house: House) -> None:
    instances = [house.instance() for _ in range(4)]
    seen = {number: [number / 100, -number / 50, 0.5, 0.25] for number in range(60)}
    done = await asyncio.gather(
        *(house.step(DEFAULT, seen[number], by=instances[number % 4], deterministic=False) for number in seen)
    )
    again = named("again")
    await house.reset(again)
    for number, step in sorted(enumerate(done), key=lambda each: each[1].version):
        assert await house.step(again, seen[number], deterministic=False, seed=step.seed) == step
    assert house.agents.rows[again.key].state == house.agents.rows[DEFAULT.key].state


@on_a_loop
async def test_a_reset_elsewhere_is_noticed_even_at_the_same_version(house: House) -> None:
    other = house.instance()
    await house.step(DEFAULT, [1, 1, 1, 1])
    await house.reset(DEFAULT, by=other)
    await house.step(DEFAULT, [2, 2, 2, 2], by=other)
    expected = named("expected")
    await house.reset(expected, by=other)
    await house.step(expected, [2, 2, 2, 2], by=other)
    assert (await house.step(DEFAULT)).version == 2
    await house.step(expected)
    assert house.agents.rows[DEFAULT.key].state == house.agents.rows[expected.key].state


@on_a_loop
async def test_an_observation_that_fits_the_agent_of_now_is_no_error_of_yesterday(house: House) -> None:
    other = house.instance()
    agent = named("changing")
    await house.reset(agent)
    await house.step(agent)
    await house.reset(agent, Wanted("arm"), by=other)
    step = await house.step(agent, [1, 2, 3])
    assert isinstance(step.action, list)
    with pytest.raises(Failure, match="Expected observation of length 3, got 4"):
        await house.step(agent, SEEN)


@on_a_loop
async def test_a_named_step_is_taken_once_and_answered_as_often_as_asked(house: House) -> None:
    other = house.instance()
    first = await house.step(DEFAULT, step_id="one", deterministic=False)
    await house.step(DEFAULT, by=other)
    for by in (house.first, other):
        assert await house.step(DEFAULT, step_id="one", deterministic=False, by=by) == first
    assert house.agents.rows[DEFAULT.key].version == 2
    with pytest.raises(Failure) as refused:
        await house.step(DEFAULT, [9, 9, 9, 9], step_id="one", deterministic=False)
    assert refused.value.kind is Kind.CONFLICT


@on_a_loop
async def test_the_same_name_in_another_life_is_another_step(house: House) -> None:
    await house.step(DEFAULT, step_id="1")
    await house.reset(DEFAULT)
    assert (await house.step(DEFAULT, step_id="1")).version == 1
    assert house.agents.rows[DEFAULT.key].version == 1


@on_a_loop
async def test_many_tries_of_one_named_step_take_it_once(house: House) -> None:
    instances = [house.instance() for _ in range(6)]
    done = await asyncio.gather(*(house.step(DEFAULT, step_id="once", by=each) for each in instances))
    assert len(set(done)) == 1
    assert house.agents.rows[DEFAULT.key].version == 1


@on_a_loop
async def test_an_agent_that_idles_for_too_long_is_gone(house: House) -> None:
    agent = named("idle")
    await house.reset(agent)
    await house.step(agent)
    house.clock.at += timedelta(days=29)
    await house.step(agent)
    house.clock.at += timedelta(days=30)
    with pytest.raises(Failure, match="not initialized"):
        await house.step(agent)
    await house.step(DEFAULT)
    house.clock.at += timedelta(days=31)
    assert (await house.step(DEFAULT)).version == 1


@on_a_loop
async def test_a_seed_brings_the_same_action_and_is_told(house: House) -> None:
    drawn = []
    for number in range(30):
        await house.reset(DEFAULT)
        step = await house.step(DEFAULT, deterministic=False, seed=number)
        assert step.seed == number
        await house.reset(DEFAULT)
        assert await house.step(DEFAULT, deterministic=False, seed=number) == step
        drawn.append(step.action)
    assert set(drawn) == {0, 1}
    assert (await house.step(DEFAULT)).seed is None


@on_a_loop
async def test_an_agent_keeps_its_policy(house: House) -> None:
    arm = named("arm")
    await house.reset(arm, Wanted("arm", "1"))
    await house.step(arm, [1, 2, 3])
    await house.step(arm, [1, 2, 3], wanted=Wanted("arm"))
    with pytest.raises(Failure, match="runs the policy arm@1"):
        await house.step(arm, SEEN, wanted=Wanted("small"))
    assert isinstance((await house.step(DEFAULT, [1, 2, 3], wanted=Wanted("arm"))).action, list)


@on_a_loop
async def test_an_agent_does_not_go_on_with_another_graph_of_the_same_name(house: House) -> None:
    await house.step(DEFAULT)
    house.shelf.put("small", "1", house.shelf.files["arm/1.onnx"])
    with pytest.raises(Failure, match="was replaced"):
        await house.step(DEFAULT, by=house.instance())


@on_a_loop
async def test_who_loses_every_race_is_told_that_nothing_happened(house: House, impatient: Callable[[], None]) -> None:
    impatient()
    house.agents.contended.add(DEFAULT.key)
    with pytest.raises(Failure) as refused:
        await house.step(DEFAULT)
    assert refused.value.kind is Kind.CONFLICT
    assert "'default'" in refused.value.message


# ---- batches


@on_a_loop
async def test_a_batch_steps_every_agent_once_in_one_write(house: House) -> None:
    agents = [named(str(number)) for number in range(9)]
    for agent in agents:
        await house.reset(agent)
    house.agents.reads = house.agents.writes = 0
    chosen = await house.batch(agents, [[number, 0, 1, 0] for number in range(9)])
    assert (house.agents.reads, house.agents.writes) == (0, 1)
    assert {house.agents.rows[agent.key].version for agent in agents} == {1}
    for number in range(9):
        alone = named(f"alone {number}")
        await house.reset(alone)
        step = await house.step(alone, [number, 0, 1, 0])
        assert chosen[number].action == step.action
        assert chosen[number].value == pytest.approx(step.value, abs=1e-5)


@on_a_loop
async def test_an_agent_that_stands_twice_in_a_batch_steps_in_order(house: House) -> None:
    one, two, expected = named("one"), named("two"), named("expected")
    for agent in (one, two, expected):
        await house.reset(agent)
    rows = [[1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0], [4, 0, 0, 0]]
    chosen = await house.batch([one, two, one, one], rows)
    steps = [await house.step(expected, rows[row]) for row in (0, 2, 3)]
    assert house.agents.rows[one.key].version == 3
    assert [chosen[row].value for row in (0, 2, 3)] == pytest.approx([step.value for step in steps], abs=1e-5)


@on_a_loop
async def test_of_a_batch_in_a_race_only_the_losers_step_again(house: House) -> None:
    other = house.instance()
    agents = [named("a"), named("b")]
    for agent in agents:
        await house.reset(agent)
    await house.step(agents[1], by=other)
    chosen = await house.batch(agents, [SEEN, SEEN])
    assert [house.agents.rows[agent.key].version for agent in agents] == [1, 2]
    assert chosen[0].value != chosen[1].value


@on_a_loop
async def test_batches_that_share_agents_in_another_order_do_not_wait_for_each_other(house: House) -> None:
    agents = [named(str(number)) for number in range(4)]
    for agent in agents:
        await house.reset(agent)
    instances = [house.first, house.instance()]
    await asyncio.gather(
        *(
            house.batch(agents if number % 2 else agents[::-1], [SEEN] * 4, by=instances[number % 3 % 2])
            for number in range(20)
        )
    )
    assert {house.agents.rows[agent.key].version for agent in agents} == {20}


@on_a_loop
async def test_nothing_of_a_batch_happens_when_one_agent_is_unknown(house: House) -> None:
    known = named("known")
    await house.reset(known)
    with pytest.raises(Failure, match="Agent 'unknown' not initialized"):
        await house.batch([known, named("unknown")], [SEEN, SEEN])
    with pytest.raises(Failure, match="Expected observation of length 4, got 3"):
        await house.batch([known, DEFAULT], [SEEN, [1, 2, 3]])
    assert house.agents.rows[known.key].version == 0


@on_a_loop
async def test_what_a_batch_could_not_step_is_named(house: House, impatient: Callable[[], None]) -> None:
    impatient()
    agents = [named("free"), named("busy")]
    for agent in agents:
        await house.reset(agent)
    house.agents.contended.add(agents[1].key)
    with pytest.raises(Failure) as refused:
        await house.batch(agents, [SEEN, SEEN])
    assert refused.value.kind is Kind.CONFLICT
    assert "'busy'" in refused.value.message


@on_a_loop
async def test_a_batch_runs_one_policy(house: House) -> None:
    await house.reset(named("small"))
    await house.reset(named("arm"), Wanted("arm"))
    with pytest.raises(Failure, match="must run one policy, these run arm@1, small@1"):
        await house.batch([named("small"), named("arm")], [SEEN, SEEN])


@on_a_loop
async def test_every_row_of_a_batch_is_drawn_on_its_own(house: House) -> None:
    policy, chosen = await house.first.choose([SEEN] * 64, Order(False, seed=5), Spent())
    assert policy.ref == Ref("small", "1")
    assert set(chosen.actions) == {0, 1}
    assert (await house.first.choose([SEEN] * 64, Order(False, seed=5), Spent()))[1] == chosen
    assert house.agents.writes == house.agents.reads == 0


# ---- forks and looks


@on_a_loop
async def test_a_fork_begins_where_its_source_stands_and_goes_its_own_way(house: House) -> None:
    for _ in range(3):
        await house.step(DEFAULT)
    await house.first.fork(DEFAULT, named("copy"), Spent())
    assert (await house.step(named("copy"))) == (await house.step(DEFAULT))
    await house.step(named("copy"))
    assert house.agents.rows[DEFAULT.key].version == 4
    assert house.agents.rows[named("copy").key].version == 5


@on_a_loop
async def test_a_fork_overwrites_nobody_and_needs_a_source(house: House) -> None:
    await house.reset(named("there"))
    with pytest.raises(Failure) as taken:
        await house.first.fork(DEFAULT, named("there"), Spent())
    assert taken.value.kind is Kind.CONFLICT
    with pytest.raises(Failure, match="Agent 'nobody' not initialized"):
        await house.first.fork(named("nobody"), named("copy"), Spent())
    assert (await house.first.fork(DEFAULT, named("copy"), Spent())).version == 0


@on_a_loop
async def test_a_look_changes_nothing(house: House) -> None:
    agent, pressure = await house.first.look(DEFAULT, Spent())
    assert (agent.version, pressure) == (0, 0.0)
    assert house.agents.rows == {}
    for _ in range(40):
        step = await house.step(DEFAULT)
    agent, pressure = await house.first.look(DEFAULT, Spent())
    assert (agent.version, pressure) == (40, step.pressure)


@on_a_loop
async def test_a_forgotten_agent_begins_anew(house: House) -> None:
    await house.step(DEFAULT)
    await house.first.forget(DEFAULT)
    assert (await house.step(DEFAULT, wanted=ANY)).version == 1
