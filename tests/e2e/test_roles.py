"""What functions may do in their own roles, and no other test asks of them as they are deployed."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.template import Template
from tests.conftest import Stack
from tests.fakes.upstream import Upstream, upstream
from tests.gateway import answer, event
from tests.integration.admin.conftest import Admin

BEARER = {"Authorization": "Bearer cyborg-secret-v2"}
SEEN = [0.1, 0.2, 0.3, 0.4]
PASSWORD = {"admin_password": "correct horse"}
Ask = Callable[..., Any]


@pytest.fixture
def ask(stack: Stack, function_environment: None) -> Ask:
    """Whom to ask comes first: those that stream are not behind the emulator's API Gateway."""
    headers = Admin("admin").headers

    def ask(function: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        told = answer(stack.invoke(function, event(method, path, headers=headers, json=body)))
        assert told.status == status, f"{method} {path}: {told.text}"
        return told.json()

    return ask


@pytest.fixture
def vendor() -> Iterator[Upstream]:
    with upstream() as vendor:
        yield vendor


@pytest.fixture
def model(ask: Ask, stack: Stack) -> Iterator[Callable[..., str]]:
    """`model("openai", base_url=...)`: its name, known to all at once. It and its provider are gone afterwards."""
    made: list[str] = []

    def make(kind: str, **order: Any) -> str:
        name = f"roles-{secrets.token_hex(4)}"
        ask("AdminFunction", "POST", "/admin/v1/providers", {"id": name, "type": kind, **order})
        ask("AdminFunction", "POST", "/admin/v1/models", {"id": name, "provider_id": name})
        made.append(name)
        stack.system.deployment.renew_code()
        return name

    yield make
    for name in made:
        ask("AdminFunction", "DELETE", f"/admin/v1/models/{name}")
        ask("AdminFunction", "DELETE", f"/admin/v1/providers/{name}")


def chat(model: str) -> dict[str, Any]:
    return {"request": {"messages": [{"role": "user", "content": "Hello"}], "model_hint": model}}


def test_the_gateway_calls_a_vendor_with_a_key_from_the_vault(
    ask: Ask, model: Callable[..., str], vendor: Upstream
) -> None:
    ask("AdminFunction", "POST", "/admin/v1/vault/unlock", PASSWORD)
    name = model("openai", base_url=vendor.openai, api_key="sk-vaulted")
    ask("BrokerFunction", "POST", "/v1/chat", chat(name))
    assert vendor.asked[-1].headers["authorization"] == "Bearer sk-vaulted"


def test_the_gateway_calls_bedrock_in_the_functions_own_role(ask: Ask, model: Callable[..., str]) -> None:
    name = model("bedrock")
    assert ask("BrokerFunction", "POST", "/v1/chat", chat(name))
    assert ask("AskFunction", "POST", "/api/v1/ask", {"prompt": "Hello", "models": [name]})["status"] == "ok"


def test_agents_are_stepped_together_by_a_process_that_knows_none_of_them(stack: Stack) -> None:
    names = [f"roles-{secrets.token_hex(4)}" for _ in range(3)]
    for name in names:
        assert stack.request("POST", "/reset", json={"agent_id": name}, headers=BEARER).status_code == 200
    batch = {"observations": [SEEN] * 3, "agent_ids": names}
    stack.system.deployment.renew_code()
    told = stack.request("POST", "/step_batch", json=batch, headers=BEARER)
    assert told.status_code == 200, told.text


def test_the_exposition_has_all_its_parts(stack: Stack) -> None:
    key = stack.keys["API_KEY"]
    told = stack.request("GET", "/metrics", headers={"X-API-Key": key})
    assert told.status_code == 200, told.text
    parts = {line.rpartition(" ")[::2] for line in told.text.splitlines() if line.startswith("quintet_scrape_success{")}
    assert len(parts) >= 4
    assert {value for _, value in parts} == {"1"}, parts


def test_every_schedule_may_look_whether_there_is_something_to_do(stack: Stack, repository: Path) -> None:
    functions = Template(repository / "template.yaml").of_type("AWS::Serverless::Function")
    scheduled = [
        name
        for name, function in functions
        if any(event["Type"] == "ScheduleV2" for event in function.get("Events", {}).values())
    ]
    assert len(scheduled) == 5
    for name in scheduled:
        assert isinstance(stack.invoke(name, {}), dict), name
