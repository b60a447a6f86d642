"""Callers of the broker and of the admin API, through their handlers, in one process as on a laptop."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quintet.gateway import live
from tests.conftest import Stack
from tests.fakes.upstream import Upstream, upstream
from tests.gateway import Answer, call

Ask = Callable[..., Answer]


@pytest.fixture
def keys(stack: Stack, function_environment: None) -> dict[str, str]:
    live.views.cache_clear()
    live.gateway.cache_clear()
    return stack.keys


@pytest.fixture
def chat(keys: dict[str, str]) -> Ask:
    from broker.app import handler

    def ask(body: Any, *, key: str = "RYUZEN_KEY", method: str = "POST") -> Answer:
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        return call(handler, method, "/v1/chat", headers={"X-Ryuzen-Key": keys.get(key, key)}, body=content)

    return ask


@pytest.fixture
def admin(keys: dict[str, str]) -> Iterator[Ask]:
    """The providers and models that it posts are gone afterwards."""
    from admin.app import handler

    added: list[str] = []

    def ask(method: str, path: str, body: Any = None, *, key: str = "API_KEY", **headers: str) -> Answer:
        sent = {"X-API-Key": keys[key], **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = call(handler, method, f"/admin/v1/{path}", headers=sent, json=body)
        if method == "POST" and answer.status == 200 and path in ("providers", "models"):
            added.insert(0, f"{path}/{body['id']}")
        return answer

    yield ask
    for path in added:
        ask("DELETE", path)


@pytest.fixture(scope="session")
def vendor_process() -> Iterator[Upstream]:
    with upstream() as vendor:
        yield vendor


@pytest.fixture
def vendor(vendor_process: Upstream) -> Iterator[Upstream]:
    vendor_process.asked.clear()
    yield vendor_process
    vendor_process.always.clear()
