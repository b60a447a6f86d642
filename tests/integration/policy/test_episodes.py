"""The shipped policies at their tasks, step by step through the API."""

from typing import Any

import numpy as np
import pytest

from policies.control import TASKS, Episodes
from tests.integration.policy.conftest import Client

EPISODES = 100


def play(client: Client, name: str, seeds: range) -> Any:
    """Every episode is an agent; all of them step in one batch."""
    task = TASKS[name]
    agents = [f"{name}-{seed}" for seed in seeds]
    for agent in agents:
        client.reset(agent, policy=name)
    episodes = Episodes.begun(task, seeds)
    while episodes.running.any():
        body = {
            "observations": episodes.observations.tolist(),
            "agent_ids": agents,
            "deterministic": True,
        }
        answer = client("POST", "/step_batch", json=body)
        assert answer.status == 200, answer.text
        episodes.act(answer.json()["actions"])
    return episodes.returns


@pytest.mark.parametrize(("name", "bar"), [("cartpole", 475), ("pendulum", -300)])
def test_the_mean_return_of_100_seeded_episodes_is_above_the_bar(client: Client, name: str, bar: float) -> None:
    returns = play(client, name, range(EPISODES))
    assert len(returns) == EPISODES
    assert float(np.mean(returns)) >= bar


def test_a_pole_balances_by_single_steps_too_and_its_memory_fills(client: Client) -> None:
    client.reset("pole")
    episode = Episodes.begun(TASKS["cartpole"], range(1000, 1001))
    pressures = [0.0]
    while episode.running.any():
        step = client.step(episode.observations[0].tolist(), "pole", deterministic=True)
        pressures.append(step["pressure"])
        episode.act([step["action"]])
    assert episode.returns[0] >= 475
    assert client.agent("pole")["steps"] == episode.returns[0]
    assert pressures[1] == 0
    assert len({pressure for pressure in pressures if 0 < pressure < 1}) >= 3
