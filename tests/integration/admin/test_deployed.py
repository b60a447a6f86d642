"""The admin function as deployed: every kind of route, in its own role."""

import secrets
from typing import Any

import pytest

from tests.conftest import Stack
from tests.gateway import answer, event
from tests.integration.admin.conftest import Admin


@pytest.fixture
def ask(stack: Stack, function_environment: None) -> Any:
    admin = Admin("admin")

    def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        # Not through the emulator's API Gateway: it does not know integrations that stream.
        told = answer(
            stack.invoke("AdminFunction", event(method, f"/admin/v1{path}", headers=admin.headers, json=body))
        )
        assert told.status == status, f"{method} {path}: {told.text}"
        return told.json()

    return ask


def test_may_do_all_that_it_offers(ask: Any) -> None:
    name = f"p-{secrets.token_hex(4)}"
    password = {"admin_password": "correct horse"}
    ask("POST", "/vault/unlock", password)
    order = {"id": name, "type": "openai", "base_url": "http://localhost:9/v1", "api_key": "sk-1"}
    assert ask("POST", "/providers", order)["configured"]
    model = ask("POST", "/models", {"id": f"m-{name}", "provider_id": name})
    ask("PATCH", f"/models/{model['id']}", {"weight": 9})
    ask("PUT", "/routing-config", {"min_weight": 0})
    ask("POST", "/vault/rotate", {**password, "new_password": "correct horse"})
    ask("PUT", "/tsdb/retention", {"days": 7})
    ask("POST", "/tsdb/prune")
    for path in (
        "/providers",
        f"/providers/{name}",
        "/models",
        f"/models/{model['id']}",
        "/routing-config",
        "/vault/status",
        "/health",
        "/stats",
        "/logs?group=all",
        "/audit",
        "/audit/verify",
        "/rewards",
        "/engine/models",
        "/tsdb/metrics",
        "/tsdb/retention",
        "/tsdb/query?metric=cost",
    ):
        ask("GET", path)
    ask("POST", "/rewards/req_nobody", {"reward": 1}, 404)
    ask("DELETE", f"/models/{model['id']}")
    ask("DELETE", f"/providers/{name}")
    ask("POST", "/vault/lock")
