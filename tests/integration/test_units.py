"""What a request consumes of DynamoDB in its own function is about what `make cost` counts with."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from quintet.store.meter import metered
from tests.bench.units import HELLO, OBSERVATION
from tests.conftest import Stack
from tests.gateway import call

FACTOR = 1.5
IP = "203.0.113.77"


@pytest.fixture(scope="module")
def keys(stack: Stack) -> dict[str, str]:
    return stack.keys


@pytest.fixture
def requests(keys: dict[str, str], function_environment: None) -> dict[str, tuple[str, str, dict[str, str], Any]]:
    """By kind: the function, the path, the headers and the body."""
    ryuzen, bearer = {"X-Ryuzen-Key": keys["RYUZEN_KEY"]}, {"Authorization": f"Bearer {keys['STATIC_TOKEN']}"}
    login = {"username": keys["ADMIN_USER"], "password": keys["ADMIN_PASSWORD"]}
    chat = {"request": {"messages": HELLO, "model_hint": "builtin/echo"}}
    batch = {"observations": [OBSERVATION] * 64, "agent_ids": [f"unit-{number}" for number in range(64)]}
    return {
        "login": ("identity", "/v1/auth/login", {}, login),
        "model_call": ("broker", "/v1/chat", ryuzen, chat),
        "prompt": ("ask", "/api/v1/ask", ryuzen, {"prompt": "Hello", "models": ["builtin/echo"]}),
        "persona_turn": ("personas", "/chat/completions", ryuzen, {"model": "tony", "messages": HELLO}),
        "policy_step": ("policy", "/step", bearer, {"observation": OBSERVATION, "agent_id": "unit-0"}),
        "policy_batch": ("policy", "/step_batch", bearer, batch),
    }


@pytest.mark.parametrize("kind", ["login", "model_call", "prompt", "persona_turn", "policy_step", "policy_batch"])
def test_a_request_consumes_about_what_the_calculator_says(
    kind: str,
    requests: dict[str, tuple[str, str, dict[str, str], Any]],
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function, path, headers, body = requests[kind]
    handler = importlib.import_module(f"{function}.app").handler
    known = json.loads((repository / "infra/units.json").read_text())["kinds"][kind]["used"][function]
    if function == "policy":
        for name in body.get("agent_ids", [body.get("agent_id")]):
            call(handler, "POST", "/reset", headers=headers, json={"agent_id": name}, ip=IP)
    seen = []
    for _ in range(3):
        with metered() as meter:
            answer = call(handler, "POST", path, headers=headers, json=body, ip=IP)
        assert answer.status == 200, answer.text
        seen.append(meter.used["dynamodb_write_unit"])
    assert known["dynamodb_write_unit"] / FACTOR <= min(seen) <= known["dynamodb_write_unit"] * FACTOR, seen
