"""Agents over the real table: no step of theirs is ever lost, whoever takes it and whatever ends in between."""

import asyncio
import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from quintet.policy.catalogue import Catalogue
from quintet.policy.model import Handle, Order, Spent
from quintet.policy.observations import vector
from quintet.policy.shelves import Folder
from quintet.policy.stepping import Stepping
from quintet.policy.store import Agents
from quintet.store import wire
from quintet.store.clock import SystemClock

STEPPERS, STEPS, INSTANCES = 32, 1000, 4
PATIENCE = 240

pytestmark = pytest.mark.usefixtures("quiet_tables")


@pytest.fixture(autouse=True)
def _nobody_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has lost races for ten seconds is told so; on a busy machine that is soon over."""
    monkeypatch.setattr("quintet.policy.stepping._PATIENCE", PATIENCE)


def catalogue(repository: Path) -> Catalogue:
    return Catalogue([Folder(str(repository / "policies"))], "cartpole")


def instance(repository: Path) -> Stepping:
    return Stepping(Agents(), catalogue(repository), SystemClock())


def handle(name: str = "default") -> Handle:
    return Handle(f"user#{secrets.token_hex(8)}|{name}", name, timedelta(days=30), from_start=True)


def seen(number: int) -> list[float]:
    return [number % 7 / 10, -(number % 11) / 10, number % 13 / 20, 0.1]


def test_of_a_thousand_steps_by_32_at_once_none_is_lost_and_a_replay_ends_in_the_same_bits(repository: Path) -> None:
    async def run() -> None:
        instances = [instance(repository) for _ in range(INSTANCES)]
        agent, spent = handle(), Spent()
        waiting = iter(range(STEPS))
        taken: dict[int, tuple[int, int | None]] = {}

        async def stepper(own: Stepping) -> None:
            for number in waiting:
                step = await own.step(agent, seen(number), Order(deterministic=False), spent)
                assert step.version not in taken
                taken[step.version] = (number, step.seed)

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(stepper(instances[place % INSTANCES]) for place in range(STEPPERS)))
        assert sorted(taken) == list(range(1, STEPS + 1))
        there = await Agents().read(agent.key)
        assert there is not None
        assert there.version == STEPS

        policy = await catalogue(repository).load(there.ref)
        state = policy.first
        for version in range(1, STEPS + 1):
            number, seed = taken[version]
            assert seed is not None
            state = policy.infer(vector(seen(number), 4), [state], [seed]).states[0]
        assert state == there.state

    asyncio.run(run())


def test_a_step_of_the_shipped_policy_costs_one_write_unit(repository: Path) -> None:
    async def run() -> None:
        stepping, agent = instance(repository), handle("an agent with a name of common length")
        for _ in range(3):
            await stepping.step(agent, seen(1), Order(deterministic=False), Spent())
        with wire.watched(capacity=True) as calls:
            await stepping.step(agent, seen(1), Order(deterministic=False), Spent())
        assert [call.operation for call in calls] == ["PutItem"]
        assert calls[0].units == 1

    asyncio.run(run())


def test_a_batch_of_agents_is_one_read_and_one_write(repository: Path) -> None:
    async def run() -> None:
        stepping = instance(repository)
        agents = [handle(str(number)) for number in range(64)]
        with wire.watched() as calls:
            await stepping.step_batch(agents, [seen(number) for number in range(64)], Order(True), Spent())
        assert [call.operation for call in calls] == ["BatchGetItem", "TransactWriteItems"]
        with wire.watched() as calls:
            await stepping.step_batch(agents, [seen(number) for number in range(64)], Order(True), Spent())
        assert [call.operation for call in calls] == ["TransactWriteItems"]
        assert {agent.version for agent in (await Agents().read_many([each.key for each in agents])).values()} == {2}

    asyncio.run(run())


def test_batches_and_steps_of_the_same_agents_lose_nothing(repository: Path) -> None:
    async def run() -> None:
        instances = [instance(repository) for _ in range(3)]
        agents = [handle(str(number)) for number in range(5)]
        rows = [seen(number) for number in range(5)]
        batches = [instances[number % 3].step_batch(agents, rows, Order(True), Spent()) for number in range(20)]
        steps = [instances[number % 3].step(agents[0], seen(number), Order(True), Spent()) for number in range(20)]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*batches, *steps)
        there = await Agents().read_many([agent.key for agent in agents])
        assert [there[agent.key].version for agent in agents] == [40, 20, 20, 20, 20]

    asyncio.run(run())
