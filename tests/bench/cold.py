"""Cold starts and the cheapest route, of what ships, against the least that FastAPI and Mangum can do.

Every sample is a fresh process with a Runtime API of its own; the samples of all functions are shuffled. CPU time is
counted from the process's first instruction to its first call for an event.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from infra.build import ROOT, find_uv
from tests.bench.artefact import Subject, build, subjects
from tests.gateway import event
from tests.sandbox import Sandbox

HELLO = Subject("(hello)", "hello.handler", "aws", {})
CHEAPEST = ("operations", "/health")
UNSAMPLED = {"Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0"}
GOALS = {"init_cpu_ms": 350.0, "peak_mb": 80.0, "warm_ratio": 2.0}


def measure(path: list[Path], python: str, samples: int, calls: int) -> dict[str, Any]:
    written = subjects()
    starts: dict[str, list[dict[str, float]]] = {}
    for _ in range(samples):
        for subject in random.sample([HELLO, *written], len(written) + 1):
            starts.setdefault(subject.name, []).append(start(subject, path, python))
    table = {
        name: {key: round(statistics.median(one[key] for one in found), 1) for key in found[0]}
        for name, found in starts.items()
    }
    for figures in table.values():
        figures["ratio"] = round(figures["init_cpu_ms"] / table[HELLO.name]["init_cpu_ms"], 2)
    return {"python": version(python), "samples": samples, "starts": table, "warm": warm(written, path, python, calls)}


def start(subject: Subject, path: list[Path], python: str) -> dict[str, float]:
    with sandbox(subject, path, python) as running:
        return {
            "init_cpu_ms": running.cpu_seconds() * 1000,
            "init_ms": (running.service.ready_at - running.started_at) * 1000,
            "peak_mb": running.peak_memory() / (1 << 20),
        }


def warm(written: Iterable[Subject], path: list[Path], python: str, calls: int) -> dict[str, float]:
    """CPU microseconds a call, in interleaved rounds. Quiet is without log lines, metrics and traces, as hello is."""
    name, route = CHEAPEST
    shipped = next((subject for subject in written if subject.name == name), None)
    if shipped is None:
        return {}
    quiet = Subject(shipped.name, shipped.handler, shipped.runtime, {"LOG_LEVEL": "WARNING"})
    asked = {"shipped": (shipped, route), "quiet": (quiet, route), "hello": (HELLO, "/hello")}
    rounds: dict[str, list[float]] = {key: [] for key in asked}
    with ExitStack() as running:
        processes = {key: running.enter_context(sandbox(one, path, python)) for key, (one, _) in asked.items()}
        for round_ in range(10):
            for key, process in processes.items():
                before = process.cpu_seconds()
                for _ in range(calls):
                    process.invoke(event("GET", asked[key][1]), headers=UNSAMPLED).body()
                if round_:  # the first warms up
                    rounds[key].append((process.cpu_seconds() - before) / calls * 1e6)
    found = {f"{key}_us": round(statistics.median(values), 1) for key, values in rounds.items()}
    return {**found, "ratio": round(found["quiet_us"] / found["hello_us"], 2)}


def sandbox(subject: Subject, path: list[Path], python: str) -> Sandbox:
    own = [folder for folder in path if subject.inference or "inference" not in folder.parts]
    running = Sandbox(
        subject.handler, runtime=subject.runtime, path=own, environment=subject.environment, python=python
    )
    return running.wait_until_ready()


def version(python: str) -> str:
    told = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
    return f"{python} ({told.stdout.strip()})"


def failures(found: Mapping[str, Any]) -> list[str]:
    """The goals that are missed, in words. A function with the heavy layer has none of its own."""
    missed = [
        f"{one.name}: {key} is {found['starts'][one.name][key]:g}, the goal is {GOALS[key]:g}"
        for one in subjects()
        for key in ("init_cpu_ms", "peak_mb")
        if not one.heavy and found["starts"][one.name][key] > GOALS[key]
    ]
    if found["warm"] and found["warm"]["ratio"] > GOALS["warm_ratio"]:
        missed.append(f"the cheapest route costs {found['warm']['ratio']:g} times the least")
    return missed


def show(found: Mapping[str, Any]) -> None:
    print(f"\n{found['python']}, median of {found['samples']}\n")
    print(f"| {'function':<12} | init CPU ms | x hello | init ms | peak MB |\n|{'-' * 14}|---:|---:|---:|---:|")
    for name, one in sorted(found["starts"].items(), key=lambda item: float(item[1]["init_cpu_ms"])):
        print(
            f"| {name:<12} | {one['init_cpu_ms']:11.0f} | {one['ratio']:7.2f} | {one['init_ms']:7.0f} "
            f"| {one['peak_mb']:7.0f} |"
        )
    if warm := found["warm"]:
        print(f"\n{CHEAPEST[1]}: {warm['quiet_us']:.0f} us of CPU a call, {warm['shipped_us']:.0f} with its telemetry")
        print(f"hello: {warm['hello_us']:.0f} us, so x {warm['ratio']:.2f}")


def optimised() -> str:
    """A distribution's Python where there is one: a home-made build is often half as fast."""
    found = (shutil.which(f"python3.{minor}", path="/usr/bin") for minor in (13, 12, 11))
    return next((python for python in found if python), sys.executable)


def alone(python: str, folder: Path) -> str:
    """The same without what a distribution installs beside it: Lambda's image has none of that."""
    subprocess.run([find_uv(), "venv", "--quiet", "--clear", "--python", python, folder], check=True)
    return str(folder / "bin/python")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=optimised())
    parser.add_argument("--samples", type=int, default=9)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    target = ROOT / ".build/bench"
    path = build(target, options.python)
    found = measure(path, alone(options.python, target / "interpreter"), options.samples, options.calls)
    found["python"] = version(options.python)
    (target / "cold.json").write_text(json.dumps(found, indent=2))
    show(found)
    for missed in failures(found):
        print(f"MISSED: {missed}")
    sys.exit(1 if failures(found) else 0)


if __name__ == "__main__":
    main()
