"""Which graphs are served, and what they answer."""

import base64
import struct
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from policies.anatomy import REFERENCE, Sizes, parameters, untrained
from policies.graph import exported, finished
from quintet.policy.model import Ref
from quintet.policy.runtime import Overflow, Policy, Unfit
from quintet.policy.trimming import Constant, trimmed
from tests.fakes.policy import ARM, SMALL

REF = Ref("test", "1")


def served(sizes: Sizes, seed: int = 1) -> Policy:
    return Policy(REF, "", exported(sizes, untrained(sizes, seed), "test"))


def observations(policy: Policy, count: int, seed: int = 0) -> bytes:
    rows = np.random.default_rng(seed).standard_normal((count, policy.observation))
    return rows.astype("<f4").tobytes()


@pytest.fixture(params=[SMALL, ARM], ids=["discrete", "continuous"])
def policy(request: pytest.FixtureRequest) -> Policy:
    return served(request.param)


def test_the_reference_size_has_the_documented_weight() -> None:
    assert parameters(untrained(REFERENCE, 1)) == 1_130_179
    assert served(REFERENCE).state_bytes == 34_816


def test_a_policy_says_what_it_takes_and_gives() -> None:
    small, arm = served(SMALL), served(ARM)
    assert (small.observation, small.actions, small.continuous) == (4, 2, False)
    assert (arm.observation, arm.actions, arm.continuous) == (3, 2, True)
    assert arm.state_bytes == 4 * (2 * 8 + 4 * 4)


def test_rows_of_a_batch_do_not_touch_each_other(policy: Policy) -> None:
    states = [policy.first]
    for number in range(5):
        states.append(policy.infer(observations(policy, 1, number), [states[-1]], None).states[0])
    seen = observations(policy, 6, 99)
    size = 4 * policy.observation
    together = policy.infer(seen, states, range(6))
    for row in range(6):
        alone = policy.infer(seen[row * size : (row + 1) * size], [states[row]], [row])
        assert np.frombuffer(together.states[row], "<f4") == pytest.approx(
            np.frombuffer(alone.states[0], "<f4"), abs=1e-5
        )
        assert together.values[row] == pytest.approx(alone.values[0], abs=1e-5)


def test_the_same_step_ends_in_the_same_bits(policy: Policy) -> None:
    seen = observations(policy, 1)
    assert policy.infer(seen, [policy.first], [7]) == policy.infer(seen, [policy.first], [7])


def test_a_batch_without_agents_answers_as_for_first_steps(policy: Policy) -> None:
    seen = observations(policy, 5)
    stateless = policy.infer_stateless(seen, range(5))
    stateful = policy.infer(seen, [policy.first] * 5, range(5))
    assert stateless.values == pytest.approx(stateful.values, abs=1e-5)
    assert stateless.log_probs == pytest.approx(stateful.log_probs, abs=1e-5)
    assert stateless.states == []


def test_memory_matters(policy: Policy) -> None:
    seen = observations(policy, 1)
    after = policy.infer(observations(policy, 1, 5), [policy.first], None).states[0]
    assert policy.infer(seen, [after], None).values != policy.infer(seen, [policy.first], None).values


def test_pressure_grows_from_nothing_step_by_step() -> None:
    policy = served(REFERENCE)
    state, seen = policy.first, []
    for number in range(200):
        seen.append(policy.pressure(state))
        state = policy.infer(observations(policy, 1, number), [state], None).states[0]
    assert seen[0] == 0
    assert any(0 < pressure < 1 for pressure in seen)
    assert seen[-1] > 0.9


def test_pressure_is_the_share_of_slots_beyond_half() -> None:
    policy = served(SMALL)
    slots = np.zeros((4, 4), "<f4")
    slots[1, 0], slots[2] = 0.5, 0.25  # of norm 0.5, which is not beyond it
    slots[3] = (0.3, 0.3, 0.3, 0.1)
    assert policy.pressure(bytes(4 * 8) + slots.tobytes()) == 0.25


def test_what_leads_out_of_its_numbers_is_not_answered() -> None:
    policy = Policy(REF, "", plain())  # its value is the sum
    seen = struct.pack("<9f", *[1] * 3, *[3e38] * 3, *[1] * 3)
    with pytest.raises(Overflow) as overflow:
        policy.infer(seen, [b""] * 3, None)
    assert overflow.value.row == 1
    with pytest.raises(Overflow):
        policy.infer_stateless(seen, None)


# ---- graphs that others make


def test_a_recurrent_policy_of_somebody_else_is_served() -> None:
    """An LSTM with its cell in the hidden state, as PyTorch would export it: nothing of ours but the names."""
    policy = Policy(REF, "", lstm())
    assert (policy.observation, policy.actions, policy.state_bytes) == (3, 2, 4 * 2 * 5)
    assert policy.first == bytes(40)
    step = policy.infer(observations(policy, 4), [policy.first] * 4, range(4))
    assert len(set(step.states)) == 4
    assert policy.pressure(step.states[0]) == 0
    again = policy.infer(observations(policy, 4), step.states, range(4))
    assert again.values != step.values
    stateless = policy.infer_stateless(observations(policy, 4), None)  # its state has no dimension of its own
    assert stateless.values == pytest.approx(step.values, abs=1e-6)


def test_a_policy_without_a_memory_of_any_kind_is_served() -> None:
    policy = Policy(REF, "", plain())
    step = policy.infer(observations(policy, 2), [policy.first] * 2, None)
    assert step.states == [b"", b""]
    assert policy.pressure(b"") == 0
    assert policy.infer_stateless(observations(policy, 2), None).values == step.values


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"inputs": {"observation": ["batch", 3], "extra": ["batch", 3]}}, "nobody gives its input 'extra'"),
        ({"inputs": {"observation": [1, 3]}}, "needs 'observation' of shape"),
        ({"inputs": {"observation": ["batch", "any"]}}, "needs 'observation' of shape"),
        ({"outputs": {"logits": ["batch", 3]}}, "needs an output 'value'"),
        ({"outputs": {"value": ["batch", 1]}}, "needs 'mean' of shape"),
        ({"outputs": {"value": ["batch", 3], "logits": ["batch", 3]}}, "needs an output 'value' of shape"),
        ({"outputs": {"value": ["batch", 1], "mean": ["batch", 3]}}, "needs 'log_std' of shape"),
        ({"inputs": {"observation": ["batch", 3], "hidden": ["batch", 3]}}, "needs an output 'next_hidden'"),
        ({"inputs": {"observation": ["batch", 3], "memory": ["batch", 3]}}, "needs 'memory' of shape"),
        ({"kind": TensorProto.DOUBLE}, "is a tensor"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused_by_name(change: Any, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        Policy(REF, "", plain(**change))


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(Unfit, match="does not load"):
        Policy(REF, "", b"not a graph")


def test_a_first_state_of_the_wrong_size_is_refused() -> None:
    graph = onnx.load_from_string(exported(SMALL, untrained(SMALL, 1), "test"))
    helper.set_model_props(graph, {"initial_memory": base64.b64encode(bytes(12)).decode()})
    with pytest.raises(Unfit, match="12 bytes long, not 64"):
        Policy(REF, "", graph.SerializeToString())


def test_a_trimmed_graph_is_a_graph_and_smaller() -> None:
    whole = exported(SMALL, untrained(SMALL, 1), "test")
    less = trimmed(whole, frozenset({"next_hidden", "next_memory"}), {})
    assert less is not None
    graph = onnx.load_from_string(less)
    onnx.checker.check_model(graph, full_check=True)
    assert [output.name for output in graph.graph.output] == ["logits", "value"]
    assert "write.weight" not in {tensor.name for tensor in graph.graph.initializer}
    assert len(less) < len(whole)


def test_a_known_input_becomes_a_constant() -> None:
    whole = exported(SMALL, untrained(SMALL, 1), "test")
    first = np.arange(SMALL.gru, dtype="<f4")
    fixed = trimmed(whole, frozenset(), {"hidden": Constant((1, 1, SMALL.gru), first.tobytes())})
    assert fixed is not None
    graph = onnx.load_from_string(fixed)
    onnx.checker.check_model(graph, full_check=True)
    assert [given.name for given in graph.graph.input] == ["observation", "memory"]
    (hidden,) = [tensor for tensor in graph.graph.initializer if tensor.name == "hidden"]
    assert numpy_helper.to_array(hidden).tolist() == [[first.tolist()]]


def test_a_graph_with_a_body_inside_is_left_whole() -> None:
    graph = onnx.load_from_string(plain())
    graph.graph.node[0].op_type = "If"
    assert trimmed(graph.SerializeToString(), frozenset({"value"}), {}) is None


def tensor(name: str, shape: Any, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, *shape: int) -> onnx.TensorProto:
    array: NDArray[np.float32] = np.random.default_rng(len(name)).standard_normal(shape).astype(np.float32)
    return numpy_helper.from_array(array, name)


def plain(inputs: Any = None, outputs: Any = None, kind: int = TensorProto.FLOAT) -> bytes:
    """Every output is its input's; enough to have a signature."""
    inputs = inputs or {"observation": ["batch", 3]}
    outputs = outputs or {"logits": ["batch", 3], "value": ["batch", 1]}
    nodes = [helper.make_node("Identity", ["observation"], [name]) for name in outputs]
    if "value" in outputs and outputs["value"][1:] == [1]:
        place = list(outputs).index("value")
        nodes[place] = helper.make_node("ReduceSum", ["observation", "axis"], ["value"], keepdims=1)
    graph = helper.make_graph(
        nodes,
        "plain",
        [tensor(name, shape, kind) for name, shape in inputs.items()],
        [tensor(name, shape, kind) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized


def lstm() -> bytes:
    nodes = [
        helper.make_node("Unsqueeze", ["observation", "zero"], ["sequence"]),
        helper.make_node("Split", ["hidden", "halves"], ["h_rows", "c_rows"], axis=1),
        helper.make_node("Transpose", ["h_rows"], ["h"], perm=[1, 0, 2]),
        helper.make_node("Transpose", ["c_rows"], ["c"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["sequence", "w", "r", "", "", "h", "c"], ["", "h_after", "c_after"], hidden_size=5),
        helper.make_node("Transpose", ["h_after"], ["h_next"], perm=[1, 0, 2]),
        helper.make_node("Transpose", ["c_after"], ["c_next"], perm=[1, 0, 2]),
        helper.make_node("Concat", ["h_next", "c_next"], ["next_hidden"], axis=1),
        helper.make_node("Squeeze", ["h_next", "one"], ["features"]),
        helper.make_node("MatMul", ["features", "to_logits"], ["logits"]),
        helper.make_node("MatMul", ["features", "to_value"], ["value"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lstm",
        [tensor("observation", ["batch", 3]), tensor("hidden", ["batch", 2, 5])],
        [
            tensor("logits", ["batch", 2]),
            tensor("value", ["batch", 1]),
            tensor("next_hidden", ["batch", 2, 5]),
        ],
        [
            weight("w", 1, 20, 3),
            weight("r", 1, 20, 5),
            weight("to_logits", 5, 2),
            weight("to_value", 5, 1),
            numpy_helper.from_array(np.array([0]), "zero"),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.array([1, 1]), "halves"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return finished(model, {})
