"""`make train`: a network learns from a classical controller by acting and being corrected, and is exported.

The network acts in many episodes at once; after every stretch of steps it is corrected towards what the controller
would have done where the network came to stand, through time (DAgger). Its value head learns the average reward ahead.
"""

import argparse
import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from policies.anatomy import Sizes, parameters
from policies.control import TASKS, Task
from policies.evaluate import scored
from policies.graph import exported
from policies.network import Network

FOLDER = Path(__file__).parent
EPISODES, STRETCH = 64, 25
DISCOUNT = 0.99
LOG_STD = (-2.0, 0.5)
BARS = {"cartpole": 475.0, "pendulum": -300.0}


class School:
    """Episodes that never stop: one that has failed or run its time begins anew, with a state of its own."""

    def __init__(self, task: Task, network: Network, seed: int) -> None:
        self.task, self.network = task, network
        self.rng = np.random.default_rng(seed)
        self.where = task.begin(self.rng, EPISODES)
        self.state = network.begin(EPISODES)
        self.age = self.rng.integers(0, task.horizon, EPISODES)  # so that they do not all end together

    def stretch(self, guided: float) -> tuple[Tensor, Tensor]:
        """The losses of policy and value over some steps; the controller acts with probability `guided`."""
        self.state = (self.state[0].detach(), self.state[1].detach())
        policy: list[Tensor] = []
        values: list[Tensor] = []
        rewards: list[Tensor] = []
        going: list[Tensor] = []
        for _ in range(STRETCH):
            wanted = self.task.control(self.where)
            output, value, self.state = self.network(_tensor(self.task.observe(self.where)), self.state)
            policy.append(_correction(self.task, output, wanted))
            values.append(value)
            own = _action(self.task, output, self.rng)
            follow = self.rng.random(EPISODES) < guided
            actions = np.where(follow if own.ndim == 1 else follow[:, None], wanted, own)
            self.where, reward, failed = self.task.advance(self.where, actions)
            rewards.append(_tensor(reward))
            going.append(_tensor(~failed))
            self._renew(failed)
        with torch.no_grad():
            ahead = self.network(_tensor(self.task.observe(self.where)), self.state)[1]
        targets = []
        for reward_, goes in zip(reversed(rewards), reversed(going), strict=True):
            ahead = (1 - DISCOUNT) * reward_ + DISCOUNT * goes * ahead
            targets.append(ahead)
        return torch.stack(policy).mean(), smooth_l1_loss(torch.stack(values), torch.stack(targets[::-1]))

    def _renew(self, failed: Any) -> None:
        self.age += 1
        over = failed | (self.age >= self.task.horizon)
        if over.any():
            self.where[over] = self.task.begin(self.rng, int(over.sum()))
            self.age[over] = 0
            fresh, mask = self.network.begin(EPISODES), torch.from_numpy(over)[:, None, None]
            self.state = (torch.where(mask, fresh[0], self.state[0]), torch.where(mask, fresh[1], self.state[1]))


def _correction(task: Task, output: Tensor, wanted: Any) -> Tensor:
    if not task.continuous:
        return cross_entropy(output, torch.from_numpy(wanted).long(), label_smoothing=0.02)
    mean, log_std = output.chunk(2, 1)
    log_std = log_std.clamp(*LOG_STD)
    return (((_tensor(wanted) - mean) / log_std.exp()) ** 2 / 2 + log_std).mean()


def _action(task: Task, output: Tensor, rng: np.random.Generator) -> Any:
    output = output.detach()
    if not task.continuous:
        return (rng.random(len(output)) < output.softmax(1)[:, 1].numpy()).astype(np.float64)
    mean, log_std = output.chunk(2, 1)
    return mean.numpy() + log_std.clamp(*LOG_STD).exp().numpy() * rng.standard_normal(mean.shape)


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def train(task: Task, seed: int, stretches: int) -> tuple[Sizes, Network]:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    sizes = Sizes(task.observation, task.actions, task.continuous)
    network = Network(sizes, seed)
    school = School(task, network, seed)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, stretches, 1e-5)
    for number in range(stretches):
        policy, value = school.stretch(guided=max(0.0, 1 - 4 * number / stretches))
        optimizer.zero_grad()
        (policy + value).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if number % 50 == 0:
            print(f"{task.name} {number}: policy {policy.item():.4f} value {value.item():.4f}", flush=True)
    return sizes, network


def check(graph: bytes, network: Network) -> None:
    """Raises SystemExit when the graph does not compute what the network does."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    state = network.begin(3)
    for step in range(20):
        seen = np.random.default_rng(step).standard_normal((3, network.sizes.observation)).astype(np.float32)
        inputs = {"observation": seen, "hidden": state[0].numpy(), "memory": state[1].numpy()}
        value, hidden, memory = session.run(["value", "next_hidden", "next_memory"], inputs)
        with torch.no_grad():
            _, expected, state = network(torch.from_numpy(seen), state)
        for found, wanted in ((value, expected), (hidden, state[0]), (memory, state[1])):
            if not np.allclose(found, wanted.numpy(), atol=1e-4):
                raise SystemExit("the exported graph does not compute what the network does")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stretches", type=int, default=1500)
    parser.add_argument("--version", default="1")
    parser.add_argument("--into", type=Path, default=FOLDER)
    options = parser.parse_args()
    began = time.monotonic()
    task = TASKS[options.task]
    sizes, network = train(task, options.seed, options.stretches)
    graph = exported(sizes, network.exported(), task.name)
    check(graph, network)
    score = scored(graph, task, range(100))
    print(f"{task.name}: {score}")
    if score["mean_return"] < BARS[task.name]:
        raise SystemExit(f"{task.name} does not reach {BARS[task.name]}: nothing is written")
    facts = {
        "task": f"{'CartPole' if task.name == 'cartpole' else 'Pendulum'}-v1",
        "method": "imitation of a classical controller where the network itself goes (DAgger), through time",
        "seed": options.seed,
        "stretches": options.stretches,
        "parameters": parameters(network.exported()),
        "trained_on": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - began),
        "score": score,
    }
    publish(options.into / task.name, options.version, graph, facts)


def publish(folder: Path, version: str, graph: bytes, facts: dict[str, Any]) -> None:
    """The graph beside the card, which names every version and its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{version}.onnx").write_bytes(graph)
    path = folder / "card.json"
    card = json.loads(path.read_text()) if path.exists() else {"name": folder.name, "versions": {}}
    card["latest"] = version
    card["versions"][version] = {"sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph), **facts}
    path.write_text(json.dumps(card, indent=2) + "\n")


if __name__ == "__main__":
    main()
