"""Weights as an ONNX graph with the signature that the policy function serves."""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from policies.anatomy import Sizes, Weights

OPSET, IR_VERSION = 17, 8  # old enough for every runtime that is about
_TINY = 1e-6
ALL = slice(None)


def exported(sizes: Sizes, weights: Weights, name: str) -> bytes:
    """Inputs `observation`, `hidden`, `memory`; outputs `logits` or `mean` and `log_std`, `value`, and the next state.

    The state's first dimension is named apart from the observations': a state of one row serves a batch that begins
    where all agents begin.
    """
    graph = _Graph(weights)
    encoded, hidden = _encoder(graph, sizes)
    thought, memory = _memory(graph, sizes, encoded)
    outputs = _policy(graph, sizes, thought)
    outputs["value"] = (graph.reshape(_head(graph, "value", thought), -1), ["batch"])
    outputs["next_hidden"] = (hidden, ["batch", sizes.layers, sizes.gru])
    outputs["next_memory"] = (memory, ["batch", sizes.slots, sizes.width])
    for output, (internal, _) in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [internal], [output]))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [
                _tensor("observation", ["batch", sizes.observation]),
                _tensor("hidden", ["agents", sizes.layers, sizes.gru]),
                _tensor("memory", ["agents", sizes.slots, sizes.width]),
            ],
            [_tensor(output, shape) for output, (_, shape) in outputs.items()],
            graph.constants(),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="quintet",
    )
    return finished(model, {"initial_memory": weights["memory"]})


def finished(model: ModelProto, initial: dict[str, NDArray[np.float32]]) -> bytes:
    """`initial` is a new agent's state, under `initial_hidden` and `initial_memory`; what it does not say is zero."""
    helper.set_model_props(
        model, {name: b64encode(array.astype("<f4").tobytes()).decode() for name, array in initial.items()}
    )
    checker.check_model(model, full_check=True)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _tensor(name: str, shape: list[str | int]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@dataclass
class _Graph:
    weights: Weights
    nodes: list[NodeProto] = field(default_factory=list)
    _used: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def __call__(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        return self.many(operator, *inputs, outputs=outputs, **attributes)[0]

    def many(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        names = [f"{operator.lower()}{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def weight(self, name: str, rows: slice = ALL) -> str:
        part = name if rows == ALL else f"{name}.{rows.start}"
        self._used[part] = self.weights[name][rows]
        return part

    def summed(self, one: str, other: str, rows: slice) -> str:
        name = f"{one}.{other}.{rows.start}"
        self._used[name] = self.weights[one][rows] + self.weights[other][rows]
        return name

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant_{value.dtype}_{'_'.join(map(str, value.ravel().tolist()))}".replace("-", "m")
        self._used[name] = value
        return name

    def axes(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def constants(self) -> list[TensorProto]:
        return [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in self._used.items()]

    def linear(self, name: str, values: str, rows: slice = ALL, bias: str = "") -> str:
        """All of a layer's outputs or some; `bias` may be any value, instead of the layer's own."""
        bias = bias or self.weight(f"{name}.bias", rows)
        return self("Gemm", values, self.weight(f"{name}.weight", rows), bias, transB=1)

    def norm(self, name: str, values: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self("LayerNormalization", values, scale, bias, axis=-1, epsilon=1e-5)

    def reshape(self, values: str, *shape: int) -> str:
        return self("Reshape", values, self.axes(*shape))


def _encoder(graph: _Graph, sizes: Sizes) -> tuple[str, str]:
    """The latent vector, and the hidden state after this observation."""
    values = graph("Relu", graph.norm("encoder.norm", graph.linear("encoder", "observation")))
    flat = graph.reshape("hidden", -1, sizes.layers * sizes.gru)
    before = (
        graph.many("Split", flat, graph.axes(*[sizes.gru] * sizes.layers), outputs=sizes.layers, axis=1)
        if sizes.layers > 1
        else [flat]
    )
    after = []
    for layer, state in enumerate(before):
        values = _gru(graph, sizes, layer, values, state)
        after.append(values)
    joined = graph("Concat", *after, axis=1) if len(after) > 1 else values
    hidden = graph.reshape(joined, -1, sizes.layers, sizes.gru)
    return graph.norm("latent.norm", graph.linear("latent", values)), hidden


def _gru(graph: _Graph, sizes: Sizes, layer: int, values: str, state: str) -> str:
    """Gates in PyTorch's order: reset, update, new.

    What a gate has from the state is the bias of what it has from the input: the runtime adds it, and squashes the sum,
    as it multiplies.
    """
    own, kept = f"gru{layer}.input", f"gru{layer}.hidden"
    gates = [slice(place * sizes.gru, (place + 1) * sizes.gru) for place in range(3)]

    def gate(rows: slice) -> str:
        from_state = graph.linear(kept, state, rows, graph.summed(f"{own}.bias", f"{kept}.bias", rows))
        return graph("Sigmoid", graph.linear(own, values, rows, from_state))

    reset, update = gate(gates[0]), gate(gates[1])
    remembered = graph("Mul", reset, graph.linear(kept, state, gates[2]))
    from_state = graph("Add", remembered, graph.weight(f"{own}.bias", gates[2]))
    new = graph("Tanh", graph.linear(own, values, gates[2], from_state))
    return graph("Add", new, graph("Mul", update, graph("Sub", state, new)))


def _memory(graph: _Graph, sizes: Sizes, latent: str) -> tuple[str, str]:
    """Reads by the softmax of cosine similarity over the slots, mixes, then erases and adds by the same measure.

    Who only reads needs nothing of the writer's, and what depends on the memory alone stands apart: where the memory is
    a constant, so is that.
    """
    slots = graph("Transpose", "memory", perm=[0, 2, 1])
    lengths = graph.reshape(_length(graph, "memory"), -1, 1, sizes.slots)

    def attention(first: int, number: int) -> str:
        rows = slice(first * sizes.width, (first + number) * sizes.width)
        keys = graph.reshape(graph.linear("keys", latent, rows), -1, number, sizes.width)
        aligned = graph("MatMul", graph("Div", keys, _length(graph, keys)), slots)
        return graph("Softmax", graph("Div", aligned, lengths), axis=2)

    reading, writing = attention(0, sizes.readers), attention(sizes.readers, 1)
    read = graph("MatMul", reading, "memory")
    joined = graph("Concat", latent, graph.reshape(read, -1, sizes.readers * sizes.width), axis=1)
    thought = graph.norm("mix.norm", graph("Add", latent, graph.linear("mix", joined)))

    words = graph.reshape(graph.linear("write", thought), -1, 2, sizes.width)
    erase, add = graph.many("Split", words, graph.axes(1, 1), outputs=2, axis=1)
    change = graph("Sub", graph("Tanh", add), graph("Mul", graph("Sigmoid", erase), "memory"))
    return thought, graph("Add", "memory", graph("Mul", graph.reshape(writing, -1, sizes.slots, 1), change))


def _length(graph: _Graph, values: str) -> str:
    """Never zero."""
    length = graph("ReduceL2", values, axes=[-1], keepdims=1)
    return graph("Add", length, graph.constant(np.array(_TINY, np.float32)))


def _head(graph: _Graph, name: str, thought: str) -> str:
    for layer in range(2):
        thought = graph("Relu", graph.linear(f"{name}{layer}", thought))
    return graph.linear(f"{name}2", thought)


def _policy(graph: _Graph, sizes: Sizes, thought: str) -> dict[str, tuple[str, list[str | int]]]:
    shape: list[str | int] = ["batch", sizes.actions]
    choice = _head(graph, "policy", thought)
    if not sizes.continuous:
        return {"logits": (choice, shape)}
    mean, log_std = graph.many("Split", choice, graph.axes(sizes.actions, sizes.actions), outputs=2, axis=1)
    return {"mean": (mean, shape), "log_std": (log_std, shape)}
