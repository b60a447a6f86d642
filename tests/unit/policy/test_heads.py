"""From a head's numbers to an action and how likely it was."""

import math

import numpy as np
import pytest

from quintet.policy import heads


def test_the_likeliest_action_comes_with_its_own_probability() -> None:
    actions, log_probs = heads.discrete(np.array([[0.0, math.log(3)], [5, 5]], np.float32), None)
    assert actions == [1, 0]
    assert log_probs == pytest.approx([math.log(0.75), math.log(0.5)])


def test_a_drawn_action_comes_with_its_own_probability_and_as_often_as_that() -> None:
    logits = np.tile(np.array([0.0, math.log(3), math.log(4)], np.float32), (8000, 1))
    actions, log_probs = heads.discrete(logits, range(8000))
    for action, probability in enumerate((1 / 8, 3 / 8, 4 / 8)):
        places = [place for place, each in enumerate(actions) if each == action]
        assert len(places) / 8000 == pytest.approx(probability, abs=0.02)
        assert log_probs[places[0]] == pytest.approx(math.log(probability), abs=1e-6)


def test_what_is_impossible_is_never_drawn() -> None:
    logits = np.tile(np.array([-1e30, 0, -1e30], np.float32), (500, 1))
    actions, log_probs = heads.discrete(logits, range(500))
    assert set(actions) == {1}
    assert set(log_probs) == {0.0}


def test_huge_logits_do_not_overflow() -> None:
    actions, log_probs = heads.discrete(np.array([[3e38, -3e38]], np.float32), [1])
    assert (actions, log_probs) == ([0], [0.0])


def test_numbers_are_their_means_when_nothing_is_drawn() -> None:
    mean, log_std = np.array([[0.25, -1]], np.float32), np.array([[0, math.log(2)]], np.float32)
    actions, log_probs = heads.continuous(mean, log_std, None)
    assert actions == [[0.25, -1.0]]
    assert log_probs == pytest.approx([-math.log(2 * math.pi) - math.log(2)])


def test_drawn_numbers_come_with_the_density_at_where_they_fell() -> None:
    mean, log_std = np.array([[0.5, 2]], np.float32), np.array([[-1, 0.5]], np.float32)
    (action,), (log_prob,) = heads.continuous(mean, log_std, [3])
    assert isinstance(action, list)
    density = 1.0
    for value, centre, spread in zip(action, (0.5, 2), (math.exp(-1), math.exp(0.5)), strict=True):
        density *= math.exp(-(((value - centre) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi))
    assert math.exp(log_prob) == pytest.approx(density)


@pytest.mark.parametrize(("told", "used"), [(-1000, -20), (1000, 2)])
def test_a_deviation_is_kept_within_its_bounds(told: float, used: float) -> None:
    found, bound = (
        heads.continuous(np.zeros((1, 1), np.float32), np.full((1, 1), each, np.float32), [4]) for each in (told, used)
    )
    assert found == bound


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize("actions", [1, 2, 6, 8, 43, 300])
def test_a_row_is_answered_alike_alone_and_among_others(actions: int, drawn: bool) -> None:
    logits = 3 * np.random.default_rng(0).standard_normal((50, actions)).astype(np.float32)
    logits[7] = logits[7, 0]  # the first of the likeliest
    together = heads.discrete(logits, range(50) if drawn else None)
    alone = [heads.discrete(logits[row : row + 1], [row] if drawn else None) for row in range(50)]
    assert together == ([each[0][0] for each in alone], [each[1][0] for each in alone])
