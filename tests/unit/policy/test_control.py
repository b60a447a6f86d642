"""The two tasks, against Gymnasium's published dynamics worked out by hand, and their controllers."""

import math

import numpy as np
import pytest

from policies.control import TASKS, CartPole, Episodes, Pendulum


def test_a_push_moves_the_cart_and_tips_the_pole_the_other_way() -> None:
    after, reward, failed = CartPole().advance(np.zeros((1, 4)), np.array([1.0]))
    turn = -(10 / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1))
    assert after[0] == pytest.approx([0, 0.02 * (10 / 1.1 - 0.05 * turn / 1.1), 0, 0.02 * turn])
    assert (reward[0], failed[0]) == (1.0, False)


@pytest.mark.parametrize("state", [[2.41, 0, 0, 0], [-2.41, 0, 0, 0], [0, 0, 0.21, 0], [0, 0, -0.21, 0]])
def test_a_cart_too_far_or_a_pole_too_low_ends_an_episode(state: list[float]) -> None:
    assert CartPole().advance(np.array([state]), np.array([0.0]))[2][0]


def test_a_pendulum_falls_and_pays_for_it() -> None:
    after, reward, _ = Pendulum().advance(np.array([[math.pi / 2, 1.0]]), np.array([[5.0]]))  # a torque of 2
    assert reward[0] == pytest.approx(-((math.pi / 2) ** 2 + 0.1 + 0.004))
    assert after[0] == pytest.approx([math.pi / 2 + 0.05 * 2.05, 2.05])


@pytest.mark.parametrize(("name", "bar"), [("cartpole", 500), ("pendulum", -160)])
def test_the_controllers_solve_their_tasks(name: str, bar: float) -> None:
    episodes = Episodes.begun(TASKS[name], range(100))
    while episodes.running.any():
        episodes.act(episodes.task.control(episodes.state))
    assert episodes.returns.mean() >= bar
    assert episodes.steps == episodes.task.horizon


def test_a_seed_begins_the_same_episode_alone_and_among_others() -> None:
    for task in TASKS.values():
        together, alone = Episodes.begun(task, range(5)), Episodes.begun(task, range(3, 4))
        assert (together.state[3] == alone.state[0]).all()
