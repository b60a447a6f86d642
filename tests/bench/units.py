"""What each kind of request uses of AWS, over all functions that it sets to work: measured in the emulator.

`make units` writes it to infra/units.json; `make units UNITS=--check` says what is no longer as it stands there. The
functions count for themselves, as they do on AWS; the time is this machine's, model calls take none.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import requests
from websockets.sync.client import ClientConnection, connect

from infra.local.emulator import Emulator, Endpoint
from infra.local.system import listen
from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.settings import settings
from quintet.store.clock import SystemClock
from quintet.store.transactions import write_together
from tests.conftest import Stack
from tests.fakes.webhooks import Receiver, listening_receiver
from tests.processes import eventually
from tests.roles.carrying import DeployedSystem

FILE = Path(__file__).resolve().parents[2] / "infra/units.json"
GIVEN = {"LOG_LEVEL": "DEBUG", "METRICS": "true", "WEBHOOK_LOCAL_RECEIVERS": "true", "RATE_LIMIT_POLICY": "0"}
SAMPLED = 0.05  # of the requests, by X-Ray's own rule, where there are many
QUIET = 2.0  # seconds without a word: whatever was set to work has ended
TIME = "lambda_gb_second_arm"
FACTOR = 1.5  # by which a unit may have drifted ...
SLACK = 2.5  # ... and by so many of it
OBSERVATION = [0.1, 0.2, 0.3, 0.4]
TASK = {
    "title": "Add a page that lists orders",
    "description": "It shows the newest first",
    "type": "implementation",
    "assignee_role": "implementer",
    "acceptance_criteria": ["Orders are listed", "The newest comes first", "There are tests"],
}
HELLO = [{"role": "user", "content": "What is the capital of Norway?"}]


class Used:
    """What the functions have said that they used, since it was last asked."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._logs = endpoint.client("logs")
        self._seen: set[str] = set()

    def new(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """By the function, each invocation's part."""
        for group in self._logs.describe_log_groups()["logGroups"]:
            pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            for found in (event for page in pages for event in page["events"]):
                if '"used"' in found["message"] and found["message"] not in self._seen:
                    self._seen.add(found["message"])
                    yield from _parts(group["logGroupName"].rpartition("/")[2], found["message"])

    def until_quiet(self) -> list[tuple[str, dict[str, Any]]]:
        found: list[tuple[str, dict[str, Any]]] = []
        since = time.monotonic()
        while time.monotonic() - since < QUIET:
            if new := [each for each in self.new() if each[1]["kind"] != "schedule"]:
                found += new
                since = time.monotonic()
            time.sleep(0.2)
        return found


def _parts(function: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in text.splitlines():
        _, brace, rest = line.partition("{")
        try:
            told = json.loads(brace + rest)
        except ValueError:
            continue
        if told.get("message") == "used":
            yield function, told


def _by_function(parts: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Counter[str]]:
    by: dict[str, Counter[str]] = defaultdict(Counter)
    for function, told in parts:
        by[function].update(told["used"])
    return by


def _undisturbed(parts: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """As if each had had this machine to itself: all take the time of the quickest tenth of their like."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for function, told in parts:
        times[function, told["kind"]].append(told["used"][TIME])
    for function, told in parts:
        like = sorted(times[function, told["kind"]])
        yield function, {**told, "used": {**told["used"], TIME: like[len(like) // 10]}}


class Measuring:
    def __init__(self, stack: Stack, url: str, keys: dict[str, str], receiver: Receiver) -> None:
        self.stack, self.url, self.keys, self._receiver = stack, url, keys, receiver
        self._used = Used(stack.endpoint)
        self._executions = stack.endpoint.client("stepfunctions")

    def kind(
        self, what: str, do: Callable[[], Any], number: int = 3, *, model_calls: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Once to warm the functions up, then so many, one after the other: each has the streams to itself."""
        do()
        self._used.until_quiet()
        rounds = []
        for _ in range(number):
            do()
            rounds.append(_by_function(self._used.until_quiet()))
        rounds.append(_by_function(self._used.until_quiet()))  # what was late
        return self._told(what, rounds, number, model_calls)

    def busy(
        self, what: str, do: Callable[[], Any], number: int = 60, *, model_calls: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """So many at about the same time: they share what the streams bring."""
        do()
        self._used.until_quiet()
        with ThreadPoolExecutor(6) as threads:
            for each in [threads.submit(do) for _ in range(number)]:
                each.result()
        parts = [*self._used.until_quiet(), *self._used.until_quiet()]
        return self._told(what, [_by_function(_undisturbed(parts))], number, model_calls)

    def schedule(self, what: str, function: str, number: int = 3) -> dict[str, Any]:
        """A tick that finds nothing to do."""
        self.stack.invoke(function, {})
        self._used.until_quiet()
        rounds = []
        for _ in range(number):
            self.stack.invoke(function, {})
            time.sleep(0.5)
            name = function.removesuffix("Function").lower()
            ticks = [each for who, each in self._used.new() if who == name and each["kind"] == "schedule"]
            assert ticks
            rounds.append({name: Counter({**ticks[-1]["used"], "schedule": 1})})
        return self._told(what, rounds, number, None)

    def _told(
        self,
        what: str,
        rounds: Sequence[Mapping[str, Counter[str]]],
        number: int,
        model_calls: Mapping[str, int] | None,
    ) -> dict[str, Any]:
        """The mean; of the time the middle, which others on this machine disturb less."""
        used: dict[str, dict[str, float]] = {}
        for function in sorted({name for by in rounds for name in by}):
            seen = [by[function] for by in rounds if function in by]
            units = {unit: sum(each[unit] for each in seen) / number for unit in sorted(set().union(*seen))}
            if len(seen) > 1:
                units[TIME] = median(each[TIME] for each in seen) * min(1, len(seen) / number)
            if "xray_trace" in units:
                units["xray_trace"] *= SAMPLED
            used[function] = {unit: float(f"{amount:.3g}") for unit, amount in units.items() if amount}
        print(f"{what}\n  {json.dumps(used)}", flush=True)
        return {"what": what, "model_calls": dict(model_calls or {}), "used": used}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"X-API-Key": self.keys["API_KEY"], **{name.replace("_", "-"): each for name, each in headers.items()}}
        answer = requests.request(method, self.url + path, json=body, headers=sent, timeout=60)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json()

    def data(self, method: str, path: str, body: Any = None, key: str = "API_KEY") -> Any:
        return self.ask(method, path, body, X_API_Key=self.keys[key])["data"]

    def received(self) -> list[Any]:
        return self._receiver.received

    def delivering(self, what: str, do: Callable[[], Any]) -> dict[str, Any]:
        order = {"url": self._receiver.url, "events": ["task.created"]}
        webhook = self.data("POST", "/v1/webhooks", order)["id"]
        try:
            return self.kind(what, do)
        finally:
            self.data("DELETE", f"/v1/webhooks/{webhook}")

    @contextmanager
    def socket(self, path: str) -> Iterator[ClientConnection]:
        headers = {"X-Ryuzen-Key": self.keys["RYUZEN_KEY"], "Authorization": f"Bearer {self.keys['API_KEY']}"}
        with connect(self.url.replace("http", "ws", 1) + path, additional_headers=headers) as socket:
            yield socket

    def task(self) -> None:
        """Until its execution is over: whoever asks for its status would be a request of their own."""
        name = self.data("POST", "/v1/tasks", TASK)["id"]
        machine = self.stack.system.deployed.environments["TasksFunction"]["TASK_MACHINE_ARN"]

        def over() -> bool:
            every = self._executions.list_executions(stateMachineArn=machine)["executions"]
            return [each["status"] for each in every if each["name"].startswith(name)] == ["SUCCEEDED"]

        eventually(over, 60)


def measured(m: Measuring, only: str) -> dict[str, Any]:
    bearer = {"Authorization": f"Bearer {m.keys['STATIC_TOKEN']}"}
    ryuzen = {"X-Ryuzen-Key": m.keys["RYUZEN_KEY"]}
    login = {"username": m.keys["ADMIN_USER"], "password": m.keys["ADMIN_PASSWORD"]}
    chat = {"request": {"messages": HELLO, "model_hint": "builtin/echo"}}
    names = [f"agent-{number}" for number in range(64)]
    for name in ("measured", *names):
        m.ask("POST", "/reset", {"agent_id": name}, **bearer)
    others = cycle(names)
    batch = {"observations": [OBSERVATION] * 64, "agent_ids": names}

    def message() -> None:
        held.send(json.dumps({"prompt": "What is the capital of Norway?"}))
        while not json.loads(held.recv(timeout=20)).get("done"):
            pass

    def connecting() -> None:
        with m.socket("/ws/stream"):
            pass

    def escalation() -> None:
        task = m.data("POST", "/v1/tasks", {"title": "List orders", "auto_start": False})["id"]
        order = {
            "task_id": task,
            "original_model": "builtin/echo",
            "target_model": "builtin/echo",
            "reason": "Security-critical authentication with OAuth2",
            "context": {"security_impact": "high", "complexity_score": 0.85},
            "estimated_cost": 15.0,
            "priority": "high",
        }
        name = m.data("POST", "/v1/escalation/submit", order)["escalation_id"]
        verdict = {"decision": "rejected", "reason": "Too dear"}
        m.data("POST", f"/v1/escalation/{name}/approve", verdict, key="REVIEWER_KEY")

    def event() -> None:
        told = platform_event("task.created", "task_1", {"task_id": "task_1"}, now=SystemClock().now())
        write_together([outbox(told)])

    def delivery() -> None:
        before = len(m.received())
        event()
        eventually(lambda: len(m.received()) > before, 30)

    trigger = "/internal/life/trigger?activity=post&persona=tony"
    turn = {"model": "tony", "messages": HELLO, "user": "measured"}
    kinds: dict[str, Callable[[], Any]] = {
        "login": lambda: m.kind("POST /v1/auth/login", lambda: m.ask("POST", "/v1/auth/login", login)),
        "model_call": lambda: m.kind(
            "POST /v1/chat", lambda: m.ask("POST", "/v1/chat", chat, **ryuzen), 5, model_calls={"broker": 1}
        ),
        "model_call_busy": lambda: m.busy(
            "POST /v1/chat, many of them", lambda: m.ask("POST", "/v1/chat", chat, **ryuzen), model_calls={"broker": 1}
        ),
        "prompt": lambda: m.kind(
            "POST /api/v1/ask",
            lambda: m.ask("POST", "/api/v1/ask", {"prompt": "Hello"}, **ryuzen),
            model_calls={"ask": 1},
        ),
        "persona_turn": lambda: m.kind(
            "POST /chat/completions", lambda: m.ask("POST", "/chat/completions", turn), model_calls={"personas": 1}
        ),
        "life_beat": lambda: m.kind(
            "What a persona does of itself: a post", lambda: m.ask("POST", trigger), model_calls={"personas": 1}
        ),
        "policy_step": lambda: m.kind(
            "POST /step of the shipped policy",
            lambda: m.ask("POST", "/step", {"observation": OBSERVATION, "agent_id": "measured"}, **bearer),
            5,
        ),
        "policy_step_busy": lambda: m.busy(
            "POST /step, many of them",
            lambda: m.ask("POST", "/step", {"observation": OBSERVATION, "agent_id": next(others)}, **bearer),
        ),
        "policy_batch": lambda: m.kind(
            "POST /step_batch of 64 agents", lambda: m.ask("POST", "/step_batch", batch, **bearer)
        ),
        "task": lambda: m.kind("A task of three steps, until it is done", m.task, model_calls={"workflow": 5}),
        "escalation": lambda: m.kind("An escalation, with its task, until it is decided", escalation),
        "webhook_event": lambda: m.kind("An event that nobody follows, in the log", event),
        "webhook_delivery": lambda: m.delivering("The same event, delivered by one webhook", delivery),
        "socket_connection": lambda: m.kind("A WebSocket, opened and closed", connecting),
        "socket_message": lambda: m.kind("A prompt by WebSocket, answered", message, model_calls={"sockets": 1}),
        **{
            f"tick_{name.lower()}": partial(m.schedule, f"A tick of {name.lower()}", f"{name}Function")
            for name in ("Workflow", "Rollup", "Fanout", "Deliver", "Life")
        },
    }
    found: dict[str, Any] = {}
    with m.socket("/ws/stream") as held:
        for name, measure in kinds.items():
            if re.search(only, name):
                found[name] = measure()
    return found


@contextmanager
def served() -> Iterator[Measuring]:
    with ExitStack() as parts:
        endpoint = parts.enter_context(Emulator(log=subprocess.DEVNULL)).endpoint
        listening = [parts.enter_context(each) for each in listen(0)]
        system = DeployedSystem(endpoint, listening, given=GIVEN)
        system.deploy()
        keys = system.seed()
        parts.callback(system.front().stop)
        os.environ.update({name: each for name, each in system.environment().items() if name != "PYTHONPATH"})
        settings.cache_clear()
        receiver = parts.enter_context(listening_receiver())
        yield Measuring(Stack(system, endpoint.client("lambda")), system.url, keys, receiver)


def drifted(known: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Time is another machine's business; a share of a unit is the streams'."""
    for name, kind in found.items():
        for function in {*kind["used"], *known[name]["used"]}:
            now, then = (each[name]["used"].get(function, {}) for each in (found, known))
            for unit in ({*now, *then}) - {TIME}:
                least, most = sorted((now.get(unit, 0.0), then.get(unit, 0.0)))
                if most > least * FACTOR and most - least > SLACK:
                    yield f"{name}: {function} {unit} was {then.get(unit, 0)} and is {now.get(unit, 0)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make units", description=__doc__)
    parser.add_argument("--only", default="", help="kinds with a name like this: a pattern")
    parser.add_argument("--check", action="store_true", help="write nothing, say what has drifted")
    asked = parser.parse_args()
    with served() as m:
        found = measured(m, asked.only)
    known = json.loads(FILE.read_text())
    if asked.check:
        told = list(drifted(known["kinds"], found))
        print("\n".join(told) or "All is as it stands in infra/units.json.")
        return bool(told)
    known = {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "kinds": {**known.get("kinds", {}), **found}}
    FILE.write_text(json.dumps(known, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
