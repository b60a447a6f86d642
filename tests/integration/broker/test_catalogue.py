"""The catalogue by its API: what is added answers the next request, what is removed does not."""

from typing import Any

import pytest

from quintet.gateway.catalogue import store
from quintet.gateway.catalogue.model import Model, Price, Provider
from tests.fakes.upstream import Behaviour, Upstream
from tests.gateway import Answer, call
from tests.integration.broker.conftest import Ask

HELLO: dict[str, Any] = {"request": {"messages": [{"role": "user", "content": "Hello"}]}}
MODEL = {"id": "acme-1", "provider_id": "acme", "weight": 7, "input_per_1k": 0.001, "output_per_1k": 0.002}


@pytest.fixture
def acme(admin: Ask, vendor: Upstream) -> Answer:
    """A server without a key on loopback, as somebody's vLLM would be."""
    return admin("POST", "providers", {"id": "acme", "type": "openai", "base_url": vendor.openai})


def test_a_provider_that_was_added_serves_the_next_chat(admin: Ask, chat: Ask, acme: Answer) -> None:
    assert acme.json()["configured"] is True
    assert admin("POST", "models", {**MODEL, "max_context_tokens": 32_000}).status == 200
    answer = chat(HELLO)
    told = answer.json()
    assert (answer.status, told["negotiated_model"]) == (200, "acme-1")
    assert told["response"]["object"] == "chat.completion"
    assert told["usage"]["known"]
    assert told["cost_usd"] == pytest.approx(
        told["usage"]["input_tokens"] * 1e-6 + told["usage"]["output_tokens"] * 2e-6
    )


def test_a_model_that_was_removed_or_disabled_does_not_answer_the_next_chat(
    admin: Ask, chat: Ask, acme: Answer
) -> None:
    admin("POST", "models", MODEL)
    assert chat(HELLO).json()["negotiated_model"] == "acme-1"
    assert admin("PATCH", "models/acme-1", {"enabled": False}).json()["enabled"] is False
    assert chat(HELLO).json()["negotiated_model"] == "builtin/echo"
    assert admin("PATCH", "models/acme-1", {"enabled": True}).status == 200
    assert chat(HELLO).json()["negotiated_model"] == "acme-1"
    assert admin("DELETE", "models/acme-1").json() == {"id": "acme-1", "deleted": True}
    assert chat(HELLO).json()["negotiated_model"] == "builtin/echo"
    assert admin("GET", "models/acme-1").status == 404


def test_an_edit_of_what_was_seeded_is_an_edit_like_any_other(admin: Ask, chat: Ask) -> None:
    store.fill([Provider("seeded", "openai")], [Model("seeded-1", "seeded", "seeded-1", Price(1, 1, version="1"))])
    assert admin("PATCH", "models/seeded-1", {"weight": 8}, If_Match='"0"').json()["rev"] == 1
    renewed = Model("seeded-1", "seeded", "seeded-1", Price(2, 2, version="2"))
    assert store.fill([Provider("seeded", "openai", name="Seeded")], [renewed]) == 1  # the provider alone
    assert admin("GET", "models/seeded-1").json()["weight"] == 8
    assert admin("DELETE", "models/seeded-1").status == 200
    assert admin("DELETE", "providers/seeded").status == 200
    assert store.fill([Provider("seeded", "openai")], [renewed]) == 0
    assert admin("GET", "models/seeded-1").status == 404


def test_a_decision_is_told_and_replayed(admin: Ask, chat: Ask, acme: Answer, vendor: Upstream) -> None:
    admin("POST", "models", MODEL)
    admin("POST", "models", {**MODEL, "id": "acme-2", "weight": 3})
    policy = {"min_weight": 5}
    request_id = chat({**HELLO, "policy": policy}).json()["request_id"]
    (decision,) = admin("GET", f"decisions/{request_id}").json()["decisions"]
    assert (decision["chosen"], decision["routing_reason"]) == ("acme-1", "min_weight=5")
    assert decision["excluded"] == {"acme-2": "weight 3 < 5"}
    assert decision["candidates"][0]["model"] == "acme-1"
    (same,) = admin("POST", f"decisions/{request_id}/replay").json()["replays"]
    assert (same["same"], same["cost_difference_usd"]) == (True, 0)
    admin("PATCH", "models/acme-2", {"weight": 9, "output_per_1k": 0.001, "input_per_1k": 0.001})
    admin("PATCH", "models/acme-1", {"weight": 4})
    (other,) = admin("POST", f"decisions/{request_id}/replay").json()["replays"]
    assert (other["same"], other["now"]["chosen"]) == (False, "acme-2")
    assert other["cost_difference_usd"] < 0
    assert admin("GET", "decisions/req-nobody").status == 404


def test_a_request_that_no_model_fits_leaves_its_decision_too(admin: Ask, chat: Ask, acme: Answer) -> None:
    admin("POST", "models", {**MODEL, "weight": 3})
    refused = chat({**HELLO, "policy": {"min_weight": 5}})
    assert (refused.status, refused.json()["error"]["message"]) == (502, "no eligible models")
    path = f"decisions/{refused.headers['x-request-id']}"
    (decision,) = admin("GET", path).json()["decisions"]
    assert (decision["chosen"], decision["answered_by"], decision["cost_usd"]) == (None, None, 0)
    assert decision["routing_reason"] == "no eligible models"
    assert decision["excluded"]["acme-1"] == "weight 3 < 5"
    (same,) = admin("POST", f"{path}/replay").json()["replays"]
    assert (same["same"], same["now"]["chosen"], same["cost_difference_usd"]) == (True, None, None)
    admin("PATCH", "models/acme-1", {"weight": 6})
    (other,) = admin("POST", f"{path}/replay").json()["replays"]
    assert (other["same"], other["now"]["chosen"]) == (False, "acme-1")


def test_a_call_that_nobody_has_money_for_leaves_its_decision(admin: Ask, chat: Ask, acme: Answer) -> None:
    admin("POST", "models", MODEL)
    issued = admin("POST", "keys", {"name": "poor", "owner": "poor", "roles": ["developer"]}).json()
    admin("POST", "budgets", {"scope": "key", "subject": issued["id"], "window": "day", "cap_usd": 0.0000001})
    refused = chat(HELLO, key=issued["key"])
    assert refused.status == 402
    (decision,) = admin("GET", f"decisions/{refused.headers['x-request-id']}").json()["decisions"]
    assert [each["model"] for each in decision["candidates"]] == ["acme-1"]
    assert "budget" in decision["routing_reason"]


def test_what_all_vendors_refuse_is_told_with_why(admin: Ask, chat: Ask, acme: Answer, vendor: Upstream) -> None:
    admin("POST", "models", MODEL)
    vendor.always["acme-1"] = Behaviour("unauthorized")
    answer = chat(HELLO)
    assert answer.status == 502
    error = answer.json()["error"]
    assert error["message"] == "all providers failed"
    assert error["details"]["attempts"][0]["failure"] == "unauthorized"
    assert "builtin/echo" in error["details"]["excluded"]


def test_an_unknown_name_is_told_first_where_the_persona_has_nobody_to_ask(admin: Ask, keys: dict[str, str]) -> None:
    from personas.app import handler

    admin("POST", "providers", {"id": "dead", "type": "openai", "base_url": "http://127.0.0.1:9/v1"})
    admin("POST", "models", {**MODEL, "id": "dead-1", "provider_id": "dead"})
    for name, stream, first in (
        ("nope", False, "there is no model or persona 'nope'"),
        ("nope", True, "there is"),
        ("tony", False, "'dead-1'"),
    ):
        body = {"model": name, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
        answer = call(handler, "POST", "/v1/chat/completions", headers={"X-API-Key": keys["API_KEY"]}, json=body)
        assert answer.status == 502
        assert answer.json()["error"]["code"] in ("all_providers_failed", "no_eligible_models")
        assert answer.json()["error"]["message"].partition(": ")[2].startswith(first)
        assert "'dead-1'" in answer.json()["error"]["message"]


def test_every_attempt_is_told_also_one_that_may_have_cost_something(
    admin: Ask, chat: Ask, acme: Answer, vendor: Upstream
) -> None:
    admin("POST", "models", MODEL)
    vendor.next("malformed_json")
    admin("POST", "models", {**MODEL, "id": "acme-2"})
    told = chat({"request": {**HELLO["request"], "model_hint": "acme-1"}}).json()
    assert told["routing_reason"] == "hint=acme-1;failover=acme-1:malformed"
    assert told["decision"]["attempts"] == [{"model": "acme-1", "failure": "malformed"}]
