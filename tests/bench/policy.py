"""Steps of an agent of the reference size (1.13 million parameters, untrained), in what ships, on one core.

The documented system is uvicorn with torch, its state in the process: its figures, taken on such a machine, stand
beside ours. Ours are the function's own, without its calls to the store, and taken twice. Once the state lies in the
process, as theirs does: the goals are for that. And once in DynamoDB, which is the emulator on the other core: a core
that waits for it three times a step finds the 4.5 MB of weights, and its own code, out of its caches each time.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from infra.build import ROOT
from infra.local.emulator import Emulator
from infra.local.system import System, listen
from policies.anatomy import REFERENCE, untrained
from policies.graph import exported
from tests.bench.artefact import build
from tests.bench.cold import optimised, version
from tests.gateway import event

ROWS = 64
KEPT = ("in the process", "in DynamoDB")
CALLS = {
    "in the process": {"step": 1000, "batch": 400, "agents": 60},
    "in DynamoDB": {"step": 250, "batch": 120, "agents": 30},
}
OUR_CORE, OTHER_CORE = 0, 1
SEEN = [0.1, -0.2, 0.3, -0.4]
# uvicorn, torch, in-process state; the same size, one core.
THEIRS = {"step_p50": 1.9, "step_p99": 5.3, "steps": 460.0, "rows": 10_500.0, "start_s": 1.4, "memory_mb": 277.0}
GOALS = {"step_p50": 0.6, "rows": 40_000.0, "start_s": 0.6, "memory_mb": 150.0}


def reference(folder: Path) -> None:
    graph = exported(REFERENCE, untrained(REFERENCE, seed=1), "reference")
    card = {"latest": "1", "versions": {"1": {"sha256": hashlib.sha256(graph).hexdigest()}}}
    (folder / "reference").mkdir()
    (folder / "reference/1.onnx").write_bytes(graph)
    (folder / "reference/card.json").write_text(json.dumps(card))


Sample = dict[str, dict[str, Any]]  # by where the state lies


def measure(python: str, samples: int, *, cpu: bool) -> list[Sample]:
    path = build(ROOT / ".build/bench", python)
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        reference(folder)
        os.sched_setaffinity(0, {OTHER_CORE})  # the emulator's too
        emulator = parts.enter_context(Emulator(log=subprocess.DEVNULL))
        listening = [parts.enter_context(each) for each in listen(0)]
        system = System(emulator.endpoint, listening, say=lambda _: None)
        system.deploy()
        environment = {
            **system.environment(),
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "AWS_LAMBDA_FUNCTION_NAME": "policy",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "METRICS": "true",  # these three as where it is deployed
            "TRACING": "true",
            "LAMBDA_TASK_ROOT": str(path[0]),
            "POLICIES": str(folder),
            "POLICY_DEFAULT": "reference",
            "RATE_LIMIT_POLICY": "100000000",
        }
        return [{kept: work(python, environment, kept, cpu=cpu) for kept in KEPT} for _ in range(samples)]


def work(python: str, environment: Mapping[str, str], kept: str, *, cpu: bool) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {environment['STATIC_TOKEN']}"}
    rows = [[value + row / 100 for value in SEEN] for row in range(ROWS)]
    agents = [f"bench-{row}" for row in range(ROWS)]
    told = {
        "calls": CALLS[kept],
        "step": event("POST", "/step", headers=headers, json={"observation": SEEN, "deterministic": True}),
        "batch": event("POST", "/step_batch", headers=headers, json={"observations": rows, "deterministic": True}),
        "agents": event(
            "POST",
            "/step_batch",
            headers=headers,
            json={"observations": rows, "agent_ids": agents, "deterministic": True},
        ),
        "resets": [event("POST", "/reset", headers=headers, json={"agent_id": agent}) for agent in agents],
    }
    options = [*(["--cpu"] if cpu else []), *(["--in-process"] if kept == "in the process" else [])]
    done = subprocess.run(
        [python, "-P", ROOT / "tests/bench/policy_work.py", *options],
        input=json.dumps(told),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {OUR_CORE}),
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def best(samples: list[Sample], *keys: str, pick: Any = min) -> float:
    """Of all processes: what else runs on the machine only adds."""

    def value(sample: Any) -> float:
        for key in keys:
            sample = sample[key]
        return float(sample)

    return float(pick(value(sample) for sample in samples))


def summary(samples: list[Sample], kept: str) -> dict[str, float]:
    return {
        "step_p50": best(samples, kept, "step", "own_p50"),
        "step_p99": best(samples, kept, "step", "own_p99"),
        "steps": best(samples, kept, "step", "own_per_second", pick=max),
        "rows": ROWS * best(samples, kept, "batch", "own_per_second", pick=max),
        "start_s": best(samples, kept, "import_s"),
        "memory_mb": best(samples, kept, "peak_mb"),
    }


def table(samples: list[Sample]) -> str:
    here, there = (summary(samples, kept) for kept in KEPT)
    labels = {
        "step_p50": "/step p50 (ms)",
        "step_p99": "/step p99 (ms)",
        "steps": "/step a second",
        "rows": f"observations a second, in batches of {ROWS}",
        "start_s": "start (s)",
        "memory_mb": "memory (MB)",
    }
    lines = [
        "| the function's own | state in the process | state in DynamoDB | goal | documented system |",
        "|---|---:|---:|---:|---:|",
    ]
    for key, label in labels.items():
        figures = [here[key], there[key], GOALS.get(key), THEIRS[key]]
        lines.append(f"| {label} | " + " | ".join(map(said, figures)) + " |")
    names = {"step": "/step", "batch": f"/step_batch, {ROWS} without agents", "agents": f"/step_batch, {ROWS} agents"}
    lines += ["", "| p50, ms | state | graph | framework | store | all |", "|---|---|---:|---:|---:|---:|"]
    for key, name in names.items():
        for kept in KEPT:
            parts = [best(samples, kept, key, f"{part}_p50") for part in ("graph", "framework", "store", "whole")]
            lines.append(f"| {name} | {kept} | " + " | ".join(f"{part:.2f}" for part in parts) + " |")
    first = best(samples, "in DynamoDB", "first_step_s") * 1000
    lines.append(f"\nthe first step takes {first:.0f} ms, loading the policy included")
    return "\n".join(lines)


def said(figure: float | None) -> str:
    """Three digits, the thousands apart."""
    if figure is None:
        return ""
    return f"{float(f'{figure:.3g}'):,.0f}" if figure >= 100 else f"{figure:.3g}"


def missed(samples: list[Sample]) -> list[str]:
    ours = summary(samples, "in the process")
    return [
        f"{key} is {said(ours[key])}, the goal is {said(goal)}"
        for key, goal in GOALS.items()
        if (ours[key] < goal if key == "rows" else ours[key] > goal)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=optimised())
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="CPU time instead of the clock's: for a busy machine")
    options = parser.parse_args()
    samples = measure(options.python, options.samples, cpu=options.cpu)
    what = "CPU time" if options.cpu else "time"
    print(f"\n{version(options.python)}, {what}, one core, the best of {options.samples} processes\n")
    print(table(samples))
    for each in missed(samples):
        print(f"MISSED: {each}")
    sys.exit(1 if missed(samples) else 0)


if __name__ == "__main__":
    main()
