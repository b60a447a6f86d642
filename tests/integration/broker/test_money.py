"""Budgets and streams through /v1/chat: who may not spend is told so, who hangs up pays what was used."""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from quintet.configuration import live as configuration
from quintet.gateway import live
from quintet.gateway.ledger.live import definitions
from quintet.store import wire
from quintet.telemetry.store.requests import by_request, whole
from tests.asgi import asked
from tests.fakes.upstream import Behaviour, Upstream
from tests.gateway import Answer
from tests.integration.broker.conftest import Ask

HELLO: dict[str, Any] = {"request": {"messages": [{"role": "user", "content": "Hello"}]}}
MODEL = {"id": "dear-1", "provider_id": "dear", "weight": 7, "input_per_1k": 0.001, "output_per_1k": 0.002}

Budgeted = Callable[[float], str]


@pytest.fixture
def dear(admin: Ask, vendor: Upstream) -> Answer:
    admin("POST", "providers", {"id": "dear", "type": "openai", "base_url": vendor.openai})
    return admin("POST", "models", MODEL)


@pytest.fixture
def budgeted(admin: Ask) -> Budgeted:
    """A key that may spend so many USD a day."""

    def key(cap: float) -> str:
        issued = admin(
            "POST", "keys", {"name": "spender", "owner": secrets.token_hex(8), "roles": ["developer"]}
        ).json()
        budget = {"scope": "key", "subject": issued["id"], "window": "day", "cap_usd": cap}
        assert admin("POST", "budgets", budget).status < 300
        return str(issued["key"])

    return key


def test_a_budget_that_is_spent_refuses_with_402_and_names_its_scope(
    chat: Ask, dear: Answer, budgeted: Budgeted, vendor: Upstream
) -> None:
    answer = chat(HELLO, key=budgeted(0.0000001))
    assert answer.status == 402
    error = answer.json()["error"]
    assert "key" in error["message"]
    assert vendor.asked == []


def test_an_answer_is_shortened_to_what_the_budget_has(
    chat: Ask, dear: Answer, budgeted: Budgeted, vendor: Upstream
) -> None:
    key = budgeted(0.001)
    answer = chat(HELLO, key=key)
    assert answer.status == 200, answer.text
    sent = vendor.asked[-1].body
    assert 16 <= sent.get("max_tokens", sent.get("max_completion_tokens")) < 512


def test_a_call_with_a_budget_of_its_key_talks_to_dynamodb_twice(chat: Ask, dear: Answer, budgeted: Budgeted) -> None:
    """Whatever the request log's consumer has settled on the account in between."""
    key = budgeted(10)
    assert [_talked(chat, key) for _ in range(5)] == [["UpdateItem", "PutItem"]] * 5


def test_a_call_on_a_lease_of_the_systems_budget_talks_to_dynamodb_twice(
    chat: Ask, dear: Answer, budgeted: Budgeted, admin: Ask
) -> None:
    system = admin("POST", "budgets", {"scope": "system", "window": "day", "cap_usd": 1000}).json()
    try:
        key = budgeted(10)
        assert [_talked(chat, key) for _ in range(5)] == [["UpdateItem", "PutItem"]] * 5
    finally:
        admin("DELETE", f"budgets/{system['id']}")


def _talked(chat: Ask, key: str) -> list[str]:
    """What a call asks of DynamoDB just after another one, which has looked at all that is looked at now and then."""
    live.views().forget()
    definitions().forget()
    configuration.forget()
    assert chat(HELLO, key=key).status == 200
    with wire.watched() as calls:
        assert chat(HELLO, key=key).status == 200
    return [each.operation for each in calls]


def test_a_client_that_hangs_up_cancels_the_vendor_and_its_record_tells_what_was_used(
    chat: Ask, dear: Answer, keys: dict[str, str], vendor: Upstream
) -> None:
    from broker.app import app

    vendor.always["dear-1"] = Behaviour("slow_tokens", seconds=0.3)
    request_id = f"req-{secrets.token_hex(8)}"

    async def listen() -> None:
        headers = {
            "x-api-key": keys["RYUZEN_KEY"],
            "content-type": "application/json",
            "x-request-id": request_id,
            "content-length": str(len(body)),
        }
        async with asked(app, "POST", "/v1/chat", headers=headers, body=body) as exchange:
            await exchange.said(3)  # the head, the decision, a piece of the answer
            exchange.disconnect()

    body = json.dumps({**HELLO, "stream": True}).encode()
    asyncio.run(listen())
    assert vendor.asked[-1].hung_up.wait(30)
    (call,) = asyncio.run(_record(request_id))["facts"]["calls"]
    assert (call["status"], call["failure"], call["model"]) == ("cut", "cancelled", "dear-1")
    assert 0 < call["cost"] < call["bound"]


async def _record(request_id: str) -> Mapping[str, Any]:
    (found,) = await by_request(request_id)
    record = await whole(found)
    assert record is not None
    return record
