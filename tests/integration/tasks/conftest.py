"""The task platform as callers meet it: the functions' handlers over the deployed tables and state machines."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from quintet.configuration import live
from quintet.configuration import store as configuration
from quintet.configuration.model import SYSTEM, changed
from quintet.configuration.system import schema
from quintet.events import store as log
from quintet.events.model import Event
from quintet.events.platform import PLATFORM
from quintet.gateway.catalogue import store as catalogue
from quintet.gateway.catalogue.model import CredStore, Model, Price, Provider
from quintet.gateway.live import views
from quintet.http.entry import kept_loop
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


def ended(caller: Caller, task_id: str, seconds: float = 60) -> dict[str, Any]:
    """The task, once it is over."""

    def look() -> dict[str, Any] | None:
        task: dict[str, Any] = caller.data("GET", f"/v1/tasks/{task_id}")
        return task if task["status"] in {"completed", "failed", "cancelled"} else None

    return eventually(look, seconds)


def configured(change: dict[str, Any]) -> None:
    """The system's configuration, changed; this process knows at once, the others within ten seconds."""
    before = kept_loop().run_until_complete(configuration.read(SYSTEM))
    after = changed(before, change, schema(), at=SystemClock().now(), by="test")
    configuration.write(after)
    live.keep(after)


def in_catalogue(*names: str) -> None:
    """Models that nobody has a key for."""
    known = catalogue.all_of_it()
    if "nowhere" not in known.providers:
        catalogue.put_provider(Provider("nowhere", "openai", "Nowhere", cred_store=CredStore.ENV, rev=1))
    for name in names:
        if known.named(name) is None:
            price = Price(600, 2200, version="test")
            model = Model(name, "nowhere", name, price, weight=8, max_output=8192, context_window=128_000, rev=1)
            catalogue.put_model(model)
    views().forget()
