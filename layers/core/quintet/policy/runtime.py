"""A policy as the runtime serves it: an ONNX graph of the declared signature, one thread, float32.

| | name | shape |
|---|---|---|
| in | `observation` | (batch, numbers) |
| in | `hidden`, `memory` | (batch, ...): what the agent keeps, either, both or none; memory is (batch, slots, width) |
| out | `next_hidden`, `next_memory` | the same shapes: one for each that goes in |
| out | `logits` | (batch, actions), for actions to choose from |
| out | `mean`, `log_std` | (batch, numbers), for actions made of numbers |
| out | `value` | (batch) or (batch, 1) |

Metadata `initial_hidden` and `initial_memory`, base64 of little-endian float32, say what a new agent's state is; else
it is zero. Where the state's first dimension has a name of its own, one row of state serves a whole batch.
"""

import math
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from quintet.policy import heads
from quintet.policy.model import Action, Ref
from quintet.policy.trimming import Constant, trimmed

FULL = 0.5  # the norm from which on a slot of memory counts as full
_KEPT = ("hidden", "memory")
_ERRORS_ONLY = 3
_FLOAT = np.dtype("<f4")
_FEW = 16

Floats = NDArray[np.float32]


class Unfit(Exception):  # noqa: N818 - a finding
    """Why a graph cannot be served."""


class Overflow(Exception):  # noqa: N818 - an outcome
    """The policy does not answer in numbers: `row` is the first that drove it out of its range."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row} left the range of the policy's numbers")
        self.row = row


class Answers(NamedTuple):
    """A row for every observation; `states` is empty when there were none to keep."""

    actions: list[Action]
    log_probs: list[float]
    values: list[float]
    states: list[bytes]


class _Part(NamedTuple):
    """One array of the state, and where it lies in a row of it."""

    name: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Policy:
    def __init__(self, ref: Ref, digest: str, graph: bytes) -> None:
        """Raises Unfit."""
        self.ref = ref
        self.digest = digest
        self._graph = graph
        self._session = _session(graph)
        inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = {each.name: each for each in self._session.get_outputs()}
        _check_types(inputs, outputs)
        self.observation = _width(inputs, "observation")
        self._parts = _parts(inputs, outputs)
        self._memory = next((part for part in self._parts if part.name == "memory"), None)
        self._broadcasts = all(_first(inputs[part.name]) != _first(inputs["observation"]) for part in self._parts)
        self.continuous = "logits" not in outputs
        self.actions = _width(outputs, "mean" if self.continuous else "logits")
        if self.continuous and _width(outputs, "log_std") != self.actions:
            raise Unfit("its outputs 'mean' and 'log_std' differ in shape")
        if "value" not in outputs or outputs["value"].shape[1:] not in ([], [1]):
            raise Unfit("it needs an output 'value' of shape (batch) or (batch, 1)")
        self._heads = ["mean", "log_std", "value"] if self.continuous else ["logits", "value"]
        self._asked = self._heads + [f"next_{part.name}" for part in self._parts]
        self.first = self._first_state(self._session.get_modelmeta().custom_metadata_map)

    @property
    def state_bytes(self) -> int:
        return len(self.first)

    def infer(self, observations: bytes, states: Sequence[bytes], seeds: Sequence[int] | None) -> Answers:
        """One graph call; `seeds` is None for the likeliest actions. Raises Overflow."""
        count = len(states)
        rows = np.frombuffer(b"".join(states), _FLOAT).reshape(count, -1)
        found = self._session.run(self._asked, self._inputs(observations, rows))
        self._check_finite(count, found)
        actions, log_probs, values = self._chosen(found, seeds)
        after = found[len(self._heads) :]
        kept = [b"".join([array[row].tobytes() for array in after]) for row in range(count)]
        return Answers(actions, log_probs, values, kept)

    def infer_stateless(self, observations: bytes, seeds: Sequence[int] | None) -> Answers:
        """As for agents that take their first step; nothing is kept. Raises Overflow."""
        count = len(observations) // (4 * self.observation)
        session, asked = self._forgetful
        rows = np.frombuffer(self.first, _FLOAT).reshape(1, -1)
        if not self._broadcasts:
            rows = np.repeat(rows, count, 0)
        inputs = self._inputs(observations, rows)
        found = session.run(self._heads, {name: inputs[name] for name in asked})
        self._check_finite(count, found)
        actions, log_probs, values = self._chosen(found, seeds)
        return Answers(actions, log_probs, values, [])

    def pressure(self, state: bytes) -> float:
        """The share of memory slots that are full; 0 where there is no memory."""
        if self._memory is None:
            return 0.0
        _, shape, begin, end = self._memory
        slots = np.frombuffer(state, _FLOAT, end - begin, 4 * begin).reshape(shape)
        return float(np.count_nonzero(np.vecdot(slots, slots) > FULL**2) / len(slots))

    @cached_property
    def _forgetful(self) -> tuple[Any, list[str]]:
        """Made by the first batch without agents: a session, and what it has to be given."""
        unasked = frozenset(f"next_{part.name}" for part in self._parts)
        first = {
            part.name: Constant((1, *part.shape), self.first[4 * part.begin : 4 * part.end])
            for part in self._parts
            if self._broadcasts
        }
        graph = trimmed(self._graph, unasked, first)
        session = self._session if graph is None else _session(graph)
        return session, [each.name for each in session.get_inputs()]

    def _inputs(self, observations: bytes, rows: Floats) -> dict[str, Floats]:
        inputs: dict[str, Floats] = {
            part.name: rows[:, part.begin : part.end].reshape(-1, *part.shape) for part in self._parts
        }
        inputs["observation"] = np.frombuffer(observations, _FLOAT).reshape(-1, self.observation)
        return inputs

    def _chosen(
        self, found: Sequence[Floats], seeds: Sequence[int] | None
    ) -> tuple[list[Action], list[float], list[float]]:
        if self.continuous:
            actions, log_probs = heads.continuous(found[0], found[1], seeds)
        else:
            actions, log_probs = heads.discrete(found[0], seeds)
        return actions, log_probs, found[len(self._heads) - 1].reshape(-1).tolist()

    @staticmethod
    def _check_finite(count: int, arrays: Sequence[Floats]) -> None:
        broken = [array for array in arrays if not _is_finite(array)]
        if broken:
            raise Overflow(min(int(np.isfinite(each).reshape(count, -1).all(axis=1).argmin()) for each in broken))

    def _first_state(self, metadata: Mapping[str, str]) -> bytes:
        first = b""
        for part in self._parts:
            size = 4 * (part.end - part.begin)
            told = metadata.get(f"initial_{part.name}")
            content = b64decode(told) if told else bytes(size)
            if len(content) != size:
                raise Unfit(f"its metadata 'initial_{part.name}' is {len(content)} bytes long, not {size}")
            first += content
        return first


def _is_finite(array: Floats) -> bool:
    """Of a lone row's few answers Python can tell sooner than numpy."""
    if array.size <= _FEW:
        return all(map(math.isfinite, array.ravel().tolist()))
    return int(np.count_nonzero(np.isfinite(array))) == array.size  # half the price of `all`


def _session(graph: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more of them collapse when a core is busy, and a Lambda has about one
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no class but this
        raise Unfit(f"the runtime does not load it: {str(error).splitlines()[0][:200]}") from None


def _check_types(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    for name in inputs.keys() - {"observation", *_KEPT}:
        raise Unfit(f"nobody gives its input '{name}'")
    for name, each in {**inputs, **outputs}.items():
        if each.type != "tensor(float)":
            raise Unfit(f"'{name}' is a {each.type}, not a tensor(float)")


def _width(values: Mapping[str, Any], name: str) -> int:
    shape = values[name].shape if name in values else []
    if len(shape) != 2 or isinstance(shape[0], int) or not isinstance(shape[1], int):
        raise Unfit(f"it needs '{name}' of shape (batch, a number)")
    return int(shape[1])


def _parts(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> list[_Part]:
    parts: list[_Part] = []
    place = 0
    for name in _KEPT:
        if name not in inputs:
            continue
        shape = inputs[name].shape
        if not shape or isinstance(shape[0], int) or not all(isinstance(each, int) for each in shape[1:]):
            raise Unfit(f"it needs '{name}' of shape (batch, numbers...)")
        if name == "memory" and len(shape) != 3:
            raise Unfit("it needs 'memory' of shape (batch, slots, width)")
        after = outputs.get(f"next_{name}")
        if after is None or after.shape[1:] != shape[1:]:
            raise Unfit(f"it needs an output 'next_{name}' of the shape of its input '{name}'")
        end = place + math.prod(shape[1:])
        parts.append(_Part(name, tuple(shape[1:]), place, end))
        place = end
    return parts


def _first(value: Any) -> Any:
    return value.shape[0]
