"""Two classical control problems, many episodes at once, and the controllers that solve them: Gymnasium's dynamics.

CartPole-v1 and Pendulum-v1 as their definitions say, in plain numpy: whoever evaluates a policy needs nothing more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Task(Protocol):
    """`begin` and `advance` work on one row of `state` per episode."""

    @property
    def name(self) -> str: ...

    @property
    def observation(self) -> int: ...

    @property
    def actions(self) -> int: ...

    @property
    def continuous(self) -> bool: ...

    @property
    def horizon(self) -> int:
        """Steps after which an episode ends that has not failed."""
        ...

    def begin(self, rng: np.random.Generator, count: int, /) -> Numbers: ...

    def observe(self, state: Numbers, /) -> Numbers: ...

    def advance(self, state: Numbers, actions: Numbers, /) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
        """The next state, the reward of this step, and which episodes have failed with it."""
        ...

    def control(self, state: Numbers, /) -> Numbers:
        """What the classical controller does. Actions have one column where they are numbers, else none."""
        ...


@dataclass(frozen=True, slots=True)
class CartPole:
    """State and observation: position, velocity, angle, angular velocity. Actions: 0 pushes left, 1 pushes right."""

    name: str = "cartpole"
    observation: int = 4
    actions: int = 2
    continuous: bool = False
    horizon: int = 500

    def begin(self, rng: np.random.Generator, count: int) -> Numbers:
        return rng.uniform(-0.05, 0.05, (count, 4))

    def observe(self, state: Numbers) -> Numbers:
        return state

    def advance(self, state: Numbers, actions: Numbers) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
        gravity, cart, pole, half, force, tau = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
        x, speed, angle, turning = state.T
        push = np.where(actions == 1, force, -force)
        cosine, sine = np.cos(angle), np.sin(angle)
        swing = (push + pole * half * turning**2 * sine) / (cart + pole)
        turn = (gravity * sine - cosine * swing) / (half * (4 / 3 - pole * cosine**2 / (cart + pole)))
        shove = swing - pole * half * turn * cosine / (cart + pole)
        after = np.stack([x + tau * speed, speed + tau * shove, angle + tau * turning, turning + tau * turn], axis=1)
        failed = (np.abs(after[:, 0]) > 2.4) | (np.abs(after[:, 2]) > np.radians(12))
        return after, np.ones(len(state)), failed

    def control(self, state: Numbers) -> Numbers:
        """The sign of a linear regulator's force."""
        force: Numbers = state @ np.array([0.5, 1.0, 20.0, 3.0])
        return (force > 0).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Pendulum:
    """State: angle (0 is up) and angular velocity. Observation: cosine, sine, velocity. Action: a torque within 2."""

    name: str = "pendulum"
    observation: int = 3
    actions: int = 1
    continuous: bool = True
    horizon: int = 200

    def begin(self, rng: np.random.Generator, count: int) -> Numbers:
        return rng.uniform([-np.pi, -1.0], [np.pi, 1.0], (count, 2))

    def observe(self, state: Numbers) -> Numbers:
        return np.stack([np.cos(state[:, 0]), np.sin(state[:, 0]), state[:, 1]], axis=1)

    def advance(self, state: Numbers, actions: Numbers) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
        angle, speed = state.T
        torque = np.clip(actions.reshape(-1), -2, 2)
        cost = _from_upright(angle) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
        speed = np.clip(speed + (15 * np.sin(angle) + 3 * torque) * 0.05, -8, 8)
        return np.stack([angle + speed * 0.05, speed], axis=1), -cost, np.zeros(len(state), np.bool_)

    def control(self, state: Numbers) -> Numbers:
        """Pumps energy until what is there carries the pendulum up, and holds it with a linear regulator there."""
        angle, speed = _from_upright(state[:, 0]), state[:, 1]
        energy = speed**2 / 2 + 15 * (np.cos(angle) - 1)
        pump = np.clip(-2.0 * energy * np.where(speed == 0, 1, speed), -2, 2)
        hold = np.clip(-(10 * angle + 2.5 * speed), -2, 2)
        near = (np.abs(angle) < 0.5) & (np.abs(speed) < 2.5)
        torque: Numbers = np.where(near, hold, pump)
        return torque[:, None]


TASKS: Mapping[str, Task] = {task.name: task for task in (CartPole(), Pendulum())}


def _from_upright(angle: Any) -> Any:
    return (angle + np.pi) % (2 * np.pi) - np.pi


@dataclass(slots=True)
class Episodes:
    """Seeded episodes side by side: `running` says which have not ended, `returns` what each has earned."""

    task: Task
    state: Numbers
    returns: Numbers
    running: NDArray[np.bool_]
    steps: int = 0

    @classmethod
    def begun(cls, task: Task, seeds: range) -> "Episodes":
        state = np.concatenate([task.begin(np.random.default_rng(seed), 1) for seed in seeds])
        return cls(task, state, np.zeros(len(seeds)), np.ones(len(seeds), np.bool_))

    @property
    def observations(self) -> Numbers:
        return self.task.observe(self.state)

    def act(self, actions: Any) -> None:
        self.state, rewards, failed = self.task.advance(self.state, np.asarray(actions, np.float64))
        self.returns += rewards * self.running
        self.steps += 1
        self.running &= ~failed & (self.steps < self.task.horizon)
