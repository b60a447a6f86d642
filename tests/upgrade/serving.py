"""Today's code in a process of its own, whose clock goes on from where a recording ended.

A line of JSON asks it to call a function's handler, another line is the answer. Executions of state machines are not
begun but told of: the test takes their steps itself, at that clock.
"""

import importlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt.api_jwt

from infra.local.children import ROOT, private_stdout
from quintet.store.clock import SystemClock
from quintet.tasks.engine import StepFunctions
from tests.gateway import Context


def main() -> None:
    replies = private_stdout()
    sys.path.insert(0, str(ROOT / "functions"))

    def reply(told: Any) -> None:
        replies.write(json.dumps(told) + "\n")
        replies.flush()

    clock = Clock(datetime.fromisoformat(json.loads(sys.stdin.readline())["at"]))
    begun = _without_machines()
    reply({"serving": True})
    for line in sys.stdin:
        asked = json.loads(line)
        clock.ahead(asked.get("seconds", 0.0))
        told: dict[str, Any] = {}
        if "function" in asked:
            handler = importlib.import_module(f"{asked['function']}.app").handler
            try:
                told["answer"] = handler(asked["event"], Context())
            except Exception as failed:  # whatever a step raises has a name that the machine knows
                told["raised"] = f"{type(failed).__name__}: {failed}"
        reply({**told, "begun": begun})
        begun.clear()


class Clock:
    """Ours, and that of the library which reads tokens."""

    def __init__(self, at: datetime) -> None:
        self._began, self._ahead = at - datetime.now(UTC), timedelta()
        ours = SystemClock.now
        then = type("Then", (datetime,), {"now": lambda tz=None: self._moved(datetime.now(tz))})
        for place, name, does in (
            (SystemClock, "now", lambda clock: self._moved(ours(clock))),
            (jwt.api_jwt, "datetime", then),
        ):
            setattr(place, name, does)

    def _moved(self, now: datetime) -> datetime:
        return now + self._began + self._ahead

    def ahead(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


def _without_machines() -> list[list[Any]]:
    """What was to begin. The executions of old are gone, as after a restore: nobody runs, waits or answers."""
    begun: list[list[Any]] = []

    def put(name: str, does: Callable[..., Any]) -> None:
        setattr(StepFunctions, name, does)

    put("start", lambda _self, subject, run: begun.append(["task", subject, run]))
    put("escalate", lambda _self, subject, run: begun.append(["escalation", subject, run]))
    put("stop", lambda *_arguments: None)
    for name in ("running", "escalating", "answer"):
        put(name, lambda *_arguments: False)
    return begun


if __name__ == "__main__":
    main()
