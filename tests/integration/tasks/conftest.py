"""The task platform as callers meet it: the functions' handlers over the deployed tables and state machines."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from quintet.events import store as log
from quintet.events.model import Event
from quintet.events.platform import PLATFORM
from quintet.identity.keys import Keys
from quintet.identity.store import keys as key_table
from quintet.settings import settings
from quintet.store.clock import SystemClock
from tests.gateway import Answer, call
from tests.processes import eventually


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with an API key of their own."""

    id: str
    key: str
    handler: Any

    def __call__(self, method: str, target: str, json: Any = None, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {self.key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.handler, method, target, headers=sent, json=json)

    def data(self, method: str, target: str, json: Any = None, **headers: str) -> Any:
        answer = self(method, target, json, **headers)
        assert answer.status < 300, answer.text
        return answer.json()["data"]

    def refused(self, method: str, target: str, json: Any = None, **headers: str) -> tuple[int, str]:
        answer = self(method, target, json, **headers)
        assert answer.status >= 400, answer.text
        return answer.status, answer.json()["error"]["code"]


MakeCaller = Callable[..., Caller]


@pytest.fixture
def caller(function_environment: None, monkeypatch: pytest.MonkeyPatch) -> MakeCaller:
    """`caller("reviewer")`: each is somebody else. Nobody is counted: the limits have tests of their own."""
    monkeypatch.setenv("RATE_LIMIT_TASK_CREATION", "0")
    monkeypatch.setenv("RATE_LIMIT_MODEL_SELECTION", "0")
    settings.cache_clear()
    import tasks.app

    def make(role: str = "developer") -> Caller:
        owner = f"{role}-{secrets.token_hex(6)}"
        now = SystemClock().now()
        issued = Keys(key_table, settings().stage).issue("test", owner, roles=[role], actor="test", now=now)
        return Caller(owner, issued.secret, tasks.app.handler)

    return make


def told_of(subject: str, count: int) -> list[Event]:
    """The platform's events about it, once there are so many."""

    def look() -> list[Event] | None:
        last = log.head(PLATFORM).seq
        entries = log.read(PLATFORM, max(0, last - 500), 500).entries
        told = [entry.event for entry in entries if entry.event.subject == subject]
        return told if len(told) >= count else None

    return eventually(look)
