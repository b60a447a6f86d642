"""Callers of the policy function, each a principal of its own."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from quintet.settings import settings
from tests import addresses
from tests.gateway import Answer, call


class Client:
    """Through the function's handler, with a token in a name that nobody else has."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        self.ip = addresses.fresh()
        self.headers = headers if headers is not None else self._ordered()

    def __call__(self, method: str, target: str, **options: Any) -> Answer:
        import policy.app

        options.setdefault("headers", self.headers)
        return call(policy.app.handler, method, target, ip=self.ip, **options)

    def step(self, observation: list[float], agent_id: str = "default", **more: Any) -> Any:
        """The answer's body; the step must succeed."""
        body = {"observation": observation, "agent_id": agent_id, **more}
        answer = self("POST", "/step", json=body)
        assert answer.status == 200, answer.text
        return answer.json()

    def reset(self, agent_id: str, **more: Any) -> None:
        answer = self("POST", "/reset", json={"agent_id": agent_id, **more})
        assert answer.status == 200, answer.text

    def agent(self, agent_id: str) -> Any:
        answer = self("GET", f"/agents/{agent_id}")
        assert answer.status == 200, answer.text
        return answer.json()

    def _ordered(self) -> dict[str, str]:
        import identity.app

        body = {"subject": f"someone-{secrets.token_hex(6)}"}
        answer = call(identity.app.handler, "POST", "/auth/token", json=body, ip=self.ip)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture
def unlimited(function_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_POLICY", "0")
    settings.cache_clear()


@pytest.fixture
def client(unlimited: None) -> Client:
    return Client()


@pytest.fixture
def another(unlimited: None) -> Callable[..., Client]:
    return Client
