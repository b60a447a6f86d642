"""The same seeds give the same actions on every Python: these were recorded on 3.11, and CI's versions meet them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.control import TASKS, Episodes
from quintet.policy.model import Ref
from quintet.policy.runtime import Policy

POLES = (
    "0010101101010101010101010101010101010101100101011001100110010110011001100110011010011001101001100110"
    "0110100110100110100110100110011010011010011010011010011010011001100110101010011001101010011001101001"
)
TORQUES = [
    -2.0324,
    -1.601,
    2.3841,
    2.0271,
    1.9645,
    2.0244,
    2.0175,
    1.9693,
    2.0648,
    1.8447,
    -1.2625,
    -1.7975,
    -0.8757,
    -2.0229,
    1.6997,
    -2.3342,
    1.992,
    -1.9894,
    2.0434,
    1.9493,
    -1.7061,
    1.9711,
    0.5315,
    0.365,
    0.3522,
    0.3547,
    0.3426,
    0.355,
    0.1545,
    0.3397,
    0.2877,
    0.1598,
    0.3206,
    0.1001,
    0.2174,
    0.2271,
    0.1921,
    0.0916,
    0.0922,
    0.1658,
]


def drawn(repository: Path, name: str, steps: int) -> list[Any]:
    """An episode in which step n is drawn with seed n."""
    policy = Policy(Ref(name, "1"), "", (repository / "policies" / name / "1.onnx").read_bytes())
    episode, state, actions = Episodes.begun(TASKS[name], range(1)), policy.first, []
    for step in range(steps):
        answers = policy.infer(episode.observations.astype("<f4").tobytes(), [state], [step])
        state = answers.states[0]
        actions += answers.actions
        episode.act(answers.actions)
    return actions


def test_choices(repository: Path) -> None:
    assert "".join(map(str, drawn(repository, "cartpole", 200))) == POLES


def test_numbers(repository: Path) -> None:
    found = np.array(drawn(repository, "pendulum", len(TORQUES)))[:, 0]
    assert found.tolist() == pytest.approx(TORQUES, abs=1e-3)
