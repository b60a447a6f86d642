"""From what a policy's head says to an action and the logarithm of its probability; in double precision."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quintet.policy.chance import normals, uniforms
from quintet.policy.model import Action

LOG_STD = (-20.0, 2.0)
_HALF_LOG_TAU = math.log(2 * math.pi) / 2

Choices = tuple[list[Action], list[float]]  # an action and its log_prob for every row


def discrete(logits: NDArray[np.float32], seeds: Sequence[int] | None) -> Choices:
    """The likeliest action of every row, or one drawn with the row's seed."""
    if len(logits) == 1:
        chosen, log_prob = _discrete_alone(logits[0].tolist(), None if seeds is None else seeds[0])
        return [chosen], [log_prob]
    shifted = logits.astype(np.float64)
    shifted -= np.maximum.reduce(shifted, axis=1, keepdims=True)
    mass = np.exp(shifted)
    total = np.add.reduce(mass, axis=1)
    if seeds is None:
        # The likeliest is the one that is shifted to zero.
        return shifted.argmax(axis=1).tolist(), (0.0 - np.log(total)).tolist()
    drawn = np.array([uniforms(seed, 1)[0] for seed in seeds]) * total
    # The last action takes what rounding leaves over.
    among: Any = (mass.cumsum(axis=1)[:, :-1] <= drawn[:, None]).sum(axis=1)
    log_probs = shifted[np.arange(len(shifted)), among] - np.log(total)
    return among.tolist(), log_probs.tolist()


def _discrete_alone(logits: list[float], seed: int | None) -> tuple[int, float]:
    """The very same for one row: most of numpy's calls cost more than a row of Python's floats, which are as exact.

    Exponentials, their sum and logarithms stay numpy's: another's last digit may differ.
    """
    most = max(logits)
    shifted = [logit - most for logit in logits]
    mass = np.exp(shifted)
    total = float(np.add.reduce(mass))
    if seed is None:
        chosen = logits.index(most)
    else:
        drawn = uniforms(seed, 1)[0] * total
        chosen = sum(below <= drawn for below in accumulate(mass[:-1].tolist()))
    return chosen, shifted[chosen] - float(np.log(total))


def continuous(mean: NDArray[np.float32], log_std: NDArray[np.float32], seeds: Sequence[int] | None) -> Choices:
    """The mean of every row, or a draw around it; log_prob is summed over the action's numbers."""
    centre = mean.astype(np.float64)
    spread = np.clip(log_std.astype(np.float64), *LOG_STD)
    offset = np.zeros_like(centre) if seeds is None else np.array([normals(seed, centre.shape[1]) for seed in seeds])
    actions = centre + np.exp(spread) * offset
    log_probs = (-0.5 * offset**2 - spread - _HALF_LOG_TAU).sum(axis=1)
    return actions.tolist(), log_probs.tolist()
