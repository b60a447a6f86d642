"""The agent's parts and their sizes: linear, GRU, latent, memory, heads; and the weights that an untrained one has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]

# A slot counts as full from a norm of 0.5 on: all of them start well below, and in directions of their own.
_FIRST_NORM = 0.1
_ADD = 0.25  # untrained writes are gentle, so that memory fills over many steps


@dataclass(frozen=True, slots=True)
class Sizes:
    """`actions` is how many there are to choose from, or how many numbers one is made of where `continuous`."""

    observation: int
    actions: int
    continuous: bool = False
    linear: int = 32
    gru: int = 32
    layers: int = 1
    latent: int = 32
    slots: int = 12
    width: int = 12
    readers: int = 2
    head: int = 32

    @property
    def outputs(self) -> int:
        """Of the policy head: a mean and the logarithm of a deviation for each number, or one logit an action."""
        return 2 * self.actions if self.continuous else self.actions

    @property
    def keys(self) -> int:
        return (self.readers + 1) * self.width


REFERENCE = Sizes(
    observation=4, actions=2, linear=256, gru=256, layers=2, latent=128, slots=128, width=64, readers=4, head=256
)


def linears(sizes: Sizes) -> Iterator[tuple[str, int, int]]:
    """Name, inputs and outputs of every linear layer."""
    yield "encoder", sizes.observation, sizes.linear
    for layer in range(sizes.layers):
        yield f"gru{layer}.input", sizes.linear if layer == 0 else sizes.gru, 3 * sizes.gru
        yield f"gru{layer}.hidden", sizes.gru, 3 * sizes.gru
    yield "latent", sizes.gru, sizes.latent
    yield "keys", sizes.latent, sizes.keys
    yield "mix", sizes.latent + sizes.readers * sizes.width, sizes.latent
    yield "write", sizes.latent, 2 * sizes.width
    for head, outputs in (("policy", sizes.outputs), ("value", 1)):
        yield f"{head}0", sizes.latent, sizes.head
        yield f"{head}1", sizes.head, sizes.head
        yield f"{head}2", sizes.head, outputs


def norms(sizes: Sizes) -> Iterator[tuple[str, int]]:
    """Name and width of every LayerNorm."""
    yield "encoder.norm", sizes.linear
    yield "latent.norm", sizes.latent
    yield "mix.norm", sizes.latent


def untrained(sizes: Sizes, seed: int) -> dict[str, NDArray[np.float32]]:
    """Uniform within 1/sqrt(inputs), as PyTorch begins; `memory` is what slots hold before an agent's first step."""
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[np.float32]] = {}
    for name, inputs, outputs in linears(sizes):
        bound = inputs**-0.5
        weights[f"{name}.weight"] = rng.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
        weights[f"{name}.bias"] = rng.uniform(-bound, bound, outputs).astype(np.float32)
    for name, width in norms(sizes):
        weights[f"{name}.weight"] = np.ones(width, np.float32)
        weights[f"{name}.bias"] = np.zeros(width, np.float32)
    weights["write.weight"][sizes.width :] *= _ADD
    slots: Any = rng.standard_normal((sizes.slots, sizes.width))
    slots *= _FIRST_NORM / np.linalg.norm(slots, axis=1, keepdims=True)
    weights["memory"] = slots.astype(np.float32)
    return weights


def parameters(weights: Weights) -> int:
    return sum(array.size for name, array in weights.items() if name != "memory")
