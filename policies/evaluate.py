"""How well a graph does: seeded episodes, the likeliest action at every step."""

from typing import Any

import numpy as np
import onnxruntime

from policies.control import Episodes, Task


def scored(graph: bytes, task: Task, seeds: range) -> dict[str, Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    hidden, memory = first_state(session, len(seeds))
    episodes = Episodes.begun(task, seeds)
    answer = "mean" if task.continuous else "logits"
    while episodes.running.any():
        inputs = {"observation": episodes.observations.astype(np.float32), "hidden": hidden, "memory": memory}
        choice, hidden, memory = session.run([answer, "next_hidden", "next_memory"], inputs)
        episodes.act(choice if task.continuous else choice.argmax(1))
    returns = episodes.returns
    return {
        "episodes": len(seeds),
        "mean_return": round(float(returns.mean()), 2),
        "worst_return": round(float(returns.min()), 2),
    }


def first_state(session: Any, count: int) -> tuple[Any, Any]:
    from base64 import b64decode

    kept = session.get_modelmeta().custom_metadata_map
    states = []
    for name in ("hidden", "memory"):
        shape = next(one.shape for one in session.get_inputs() if one.name == name)[1:]
        text = kept.get(f"initial_{name}")
        first = np.frombuffer(b64decode(text), "<f4").reshape(shape) if text else np.zeros(shape, np.float32)
        states.append(np.repeat(first[None], count, 0))
    return states[0], states[1]
