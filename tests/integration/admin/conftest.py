"""An administrator, and tables that nobody else writes."""

import secrets
from typing import Any

import pytest

from quintet.events.audit import audited
from quintet.identity.keys import Keys
from quintet.identity.store import keys as table
from quintet.settings import settings
from quintet.store.clock import SystemClock
from tests import addresses
from tests.gateway import Answer, call


class Admin:
    """Calls the admin function through its handler, from an address of its own."""

    def __init__(self, *roles: str) -> None:
        self.name = f"root-{secrets.token_hex(4)}"
        self.ip = addresses.fresh()
        keys = Keys(table, settings().stage, audited)
        issued = keys.issue("root", self.name, roles=roles, actor="test", now=SystemClock().now())
        self.headers = {"X-API-Key": issued.secret}

    def answer(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        from admin.app import handler

        return call(handler, method, f"/admin/v1{path}", headers={**self.headers, **headers}, json=body, ip=self.ip)

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        answer = self.answer(method, path, body, **headers)
        assert answer.status == status, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None, *, status: int, **headers: str) -> str:
        """What the broker's dialect says."""
        error = self(method, path, body, status, **headers)["error"]
        assert error.keys() <= {"message", "type", "details"}
        return str(error["message"])


@pytest.fixture
def admin(quiet_tables: None) -> Admin:
    return Admin("admin")


@pytest.fixture
def viewer(quiet_tables: None) -> Admin:
    return Admin("viewer")
