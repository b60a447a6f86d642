"""What the model gateway costs a call, beside LiteLLM's proxy: one vendor, one load, one core each.

Ours runs as the front serves it, with routing, reservation and record, under a budget for the whole system; the store
is a fake as fast as Python allows, on the other core with the vendor and the load. The latency is what is added to
asking the vendor directly, in rounds that alternate; of each figure the best round counts, since whatever else the
machine does only adds. CPU time is the whole process tree's.
"""

import argparse
import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from infra.local.emulator import Emulator
from infra.local.system import System, listen
from quintet.settings import settings
from tests.bench.gateway_peers import Recorder

ROOT = Path(__file__).resolve().parents[2]
GATEWAY_CORE, OTHER_CORE = 0, 1
QUIETLY = "--lifespan off --log-level warning --no-access-log"
LITELLM_KEY = "sk-bench"
PROMPT = "Say hello to the world, twenty times. " * 8
ASKED = {
    "messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": PROMPT}],
    "temperature": 0.2,
    "max_tokens": 64,
}
GOALS = {"cpu": 5.0, "first": 2.0, "start": 10.0}


@dataclass(frozen=True, slots=True)
class Load:
    """One way of asking. `pace`: pieces come as a model would send them."""

    name: str
    callers: int
    stream: bool = False
    pace: bool = False


LOADS = (
    Load("1 caller", 1),
    Load("16 callers", 16),
    Load("stream, 1 caller, paced", 1, stream=True, pace=True),
    Load("stream, 16 callers", 16, stream=True),
)


@dataclass(slots=True)
class Subject:
    name: str
    command: list[str]
    url: str
    headers: list[str]
    environment: Mapping[str, str]
    bodies: Mapping[tuple[bool, bool], Any]
    starts: list[float] = field(default_factory=list)
    idle_mb: float = 0.0
    loaded_mb: float = 0.0
    found: dict[str, dict[str, float]] = field(default_factory=dict)


class Peers:
    """The vendor and the store, on the other core."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "tests.bench.gateway_peers", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=on(OTHER_CORE))
        assert self._process.stdout is not None
        vendor, store = json.loads(self._process.stdout.readline())
        self.vendor, self.store = f"http://127.0.0.1:{vendor}", f"http://127.0.0.1:{store}"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def on(core: int) -> Any:
    return lambda: os.sched_setaffinity(0, {core})


def free_port() -> int:
    [*sockets] = listen(0)
    port: int = sockets[0].getsockname()[1]
    for each in sockets:
        each.close()
    return port


@contextmanager
def running(subject: Subject, log: Path) -> Iterator[int]:
    """Until the first answer of any kind. Its process id."""
    started = time.perf_counter()
    with log.open("ab") as out:
        process = subprocess.Popen(
            subject.command,
            env=subject.environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=on(GATEWAY_CORE),
        )
        try:
            while not answers(subject.url):
                if process.poll() is not None or time.perf_counter() - started > 120:
                    raise RuntimeError(f"{subject.name} did not start:\n" + log.read_text()[-3000:])
                time.sleep(0.01)
            subject.starts.append(time.perf_counter() - started)
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
    return True


def ask(
    url: str, headers: list[str], body: Any, load: Load, seconds: float, pid: int | None = None
) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(body, file)
        file.flush()
        command = [sys.executable, "-m", "tests.bench.gateway_load", url, file.name]
        command += ["--callers", str(load.callers), "--seconds", str(seconds)]
        command += [f"--header={each}" for each in headers]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=on(OTHER_CORE))
        assert process.stdout is not None
        process.stdout.readline()  # warm
        before = cpu_seconds(pid) if pid else 0.0
        told: dict[str, Any] = json.loads(process.stdout.readline())
        process.wait()
    if told["failed"]:
        raise RuntimeError(f"{url}: {told['failed']} of {told['answers'] + told['failed']} failed: {told['errors']}")
    if pid:
        told["cpu_ms"] = (cpu_seconds(pid) - before) * 1000 / told["answers"]
    return told


def tree(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(each.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float:
    return sum(sum(map(int, stat(each)[11:13])) for each in tree(pid)) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    return sum(int(stat(each)[21]) for each in tree(pid)) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


def measure(subject: Subject, peers: Peers, rounds: int, seconds: float, log: Path) -> None:
    for _ in range(2):
        with running(subject, log):
            pass
    with running(subject, log) as pid:
        time.sleep(2)
        subject.idle_mb = memory_mb(pid)
        for load in LOADS:
            body = subject.bodies[load.stream, load.pace]
            direct = {"model": "gpt-4o-mini", "stream": load.stream, **ASKED}
            straight = f"{peers.vendor}{'/paced' if load.pace else ''}/v1/chat/completions"
            told, alone = [], []
            for _ in range(rounds):
                alone.append(ask(straight, [], direct, load, seconds / 2))
                told.append(ask(subject.url, subject.headers, body, load, seconds, pid))
            subject.found[load.name] = added(told, alone)
            print(f"  {subject.name}, {load.name}: {subject.found[load.name]}", flush=True)
        subject.loaded_mb = memory_mb(pid)


def added(told: list[dict[str, float]], alone: list[dict[str, float]]) -> dict[str, float]:
    def least(found: list[dict[str, float]], key: str) -> float:
        return min(each[key] for each in found)

    latencies = {key: least(told, key) - least(alone, key) for key in ("p50", "p99", "first_p50", "first_p99")}
    rest = {"cpu_ms": least(told, "cpu_ms"), "per_second": max(each["per_second"] for each in told)}
    return {key: round(value, 3) for key, value in {**latencies, **rest}.items()}


# ---- ours


@contextmanager
def ours(peers: Peers, folder: Path) -> Iterator[Subject]:
    """Recorded against the emulator, then served by a store that mostly repeats."""
    with ExitStack() as parts:
        log = parts.enter_context((folder / "emulator.log").open("w"))
        endpoint = parts.enter_context(Emulator(log=log)).endpoint
        listening = [parts.enter_context(each) for each in listen(0)]
        system = System(endpoint, listening, say=lambda _: None)
        system.deploy()
        key = system.seed()["RYUZEN_KEY"]
        path = os.pathsep.join(str(ROOT / part) for part in ("layers/core", "functions"))
        environment = {**system.environment(), "LOG_LEVEL": "WARNING", "PYTHONPATH": path}
        fill(environment, peers.vendor)
        emulator = environment["AWS_ENDPOINT_URL"]
        recorder = Recorder(emulator)
        subject = our_subject({**environment, "AWS_ENDPOINT_URL": recorder.url}, key)
        with running(subject, folder / "recording.log"):
            for load in LOADS:
                alone = replace(load, callers=1)
                ask(subject.url, subject.headers, subject.bodies[load.stream, load.pace], alone, 1.0)
        recorder.close()
        told = folder / "told.json"
        told.write_text(json.dumps(recorder.told))
        store = Peers("--told", str(told), "--emulator", emulator)
        parts.callback(store.close)
        yield our_subject({**environment, "AWS_ENDPOINT_URL": store.store}, key)


def our_subject(environment: Mapping[str, str], key: str) -> Subject:
    port = free_port()
    return Subject(
        "Quintet",
        [sys.executable, *shlex.split(f"-m uvicorn broker.app:app --port {port} {QUIETLY}")],
        f"http://127.0.0.1:{port}/v1/chat",
        [f"X-Ryuzen-Key: {key}"],
        environment,
        {
            (False, False): {"request": ASKED},
            (True, False): {"stream": True, "request": ASKED},
            (True, True): {"stream": True, "request": {**ASKED, "model": "bench-paced"}},
        },
    )


def fill(environment: Mapping[str, str], vendor: str) -> None:
    os.environ.update(environment)
    settings.cache_clear()
    from quintet.gateway.catalogue import store
    from quintet.gateway.catalogue.model import Model, Price, Provider
    from quintet.gateway.ledger.live import control
    from quintet.gateway.ledger.model import Scope, Window
    from quintet.gateway.model import NANO

    now = datetime.now(UTC)
    asyncio.run(control().put(Scope.SYSTEM, None, Window.DAY, 1_000_000 * NANO, actor="bench", now=now))
    price = Price(150, 600, version="bench")
    for name, base, weight in (("bench", "/v1", 9.0), ("bench-paced", "/paced/v1", 1.0)):
        store.put_provider(Provider(name, "openai", base_url=vendor + base, rev=1))
        store.put_model(Model(name, name, "gpt-4o-mini", price, weight=weight, max_output=1000, rev=1))


# ---- LiteLLM


def litellm(peers: Peers, python: Path, folder: Path) -> Subject:
    entries = "".join(
        f"  - model_name: {name}\n    litellm_params: "
        f'{{model: openai/gpt-4o-mini, api_base: "{peers.vendor}{base}", api_key: sk-fake}}\n'
        for name, base in (("gpt-4o-mini", "/v1"), ("paced", "/paced/v1"))
    )
    (folder / "litellm.yaml").write_text(
        f"model_list:\n{entries}"
        "litellm_settings: {num_retries: 0, telemetry: false, drop_params: true, set_verbose: false}\n"
        f"general_settings: {{master_key: {LITELLM_KEY}}}\n"
    )
    port = free_port()
    command = [python.parent / "litellm", "--config", folder / "litellm.yaml", "--port", port, "--host", "127.0.0.1"]
    version = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('litellm'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return Subject(
        f"LiteLLM {version.stdout.strip()}",
        [str(each) for each in command],
        f"http://127.0.0.1:{port}/v1/chat/completions",
        [f"authorization: Bearer {LITELLM_KEY}"],
        {**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
        {
            (False, False): {"model": "gpt-4o-mini", **ASKED},
            (True, False): {"model": "gpt-4o-mini", "stream": True, **ASKED},
            (True, True): {"model": "paced", "stream": True, **ASKED},
        },
    )


# ---- the table


def table(subjects: list[Subject]) -> str:
    def row(label: str, values: list[float], digits: int = 2, *, more: bool = False) -> str:
        """The last column says how many times better the first is; `more` is better."""
        compared = len(values) == 2 and min(values) > 0
        times = f" {values[0] / values[1] if more else values[1] / values[0]:.1f} x |" if compared else " |"
        return f"| {label} | " + " | ".join(f"{value:.{digits}f}" for value in values) + f" |{times}"

    lines = ["| | " + " | ".join(each.name for each in subjects) + " | |", "|---|" + "---:|" * (len(subjects) + 1)]
    for load in LOADS:
        told = [each.found[load.name] for each in subjects]
        if not load.pace:
            lines.append(row(f"CPU a request, {load.name} (ms)", [each["cpu_ms"] for each in told]))
            lines.append(row(f"answers a second, {load.name}", [each["per_second"] for each in told], 0, more=True))
        for key in ("p50", "p99") if not load.stream else ("first_p50", "first_p99"):
            what = "first token" if load.stream else "latency"
            lines.append(row(f"added {what} {key[-3:]}, {load.name} (ms)", [each[key] for each in told]))
    lines.append(row("start to the first answer (s)", [min(each.starts) for each in subjects]))
    lines.append(row("memory at rest (MB)", [each.idle_mb for each in subjects], 0))
    lines.append(row("memory after the load (MB)", [each.loaded_mb for each in subjects], 0))
    return "\n".join(lines)


def missed(ours: Subject, theirs: Subject) -> list[str]:
    found = []
    for load in (LOADS[0], LOADS[1]):
        times = theirs.found[load.name]["cpu_ms"] / ours.found[load.name]["cpu_ms"]
        if times < GOALS["cpu"]:
            found.append(f"{load.name}: LiteLLM takes {times:.1f} times our CPU, the goal is {GOALS['cpu']:g}")
    if (first := ours.found[LOADS[2].name]["first_p50"]) > GOALS["first"]:
        found.append(f"the first token comes {first:.2f} ms after the vendor's, the goal is {GOALS['first']:g}")
    if (times := min(theirs.starts) / min(ours.starts)) < GOALS["start"]:
        found.append(f"LiteLLM takes {times:.1f} times our start, the goal is {GOALS['start']:g}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--litellm", type=Path, help="the interpreter that has LiteLLM; without it we are measured alone"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--write", type=Path, help="the table goes into this file too")
    options = parser.parse_args()
    command = "python -m tests.bench.gateway " + shlex.join(sys.argv[1:])
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        folder = Path(name)
        vendor = Peers()
        parts.callback(vendor.close)
        with ours(vendor, folder) as us:
            measure(us, vendor, options.rounds, options.seconds, folder / "ours.log")
        subjects = [us]
        if options.litellm:
            subjects.append(litellm(vendor, options.litellm, folder))
            measure(subjects[1], vendor, options.rounds, options.seconds, folder / "litellm.log")
    told = (
        f"{datetime.now(UTC):%Y-%m-%d}, {sys.version.split()[0]}, one core, `{command.strip()}`\n\n{table(subjects)}\n"
    )
    print("\n" + told)
    if options.write:
        options.write.write_text(told)
    for each in missed(*subjects) if len(subjects) == 2 else []:
        print(f"MISSED: {each}")


if __name__ == "__main__":
    main()
