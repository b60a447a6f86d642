"""The broker as it is reached: through the front, and as a function in its own role."""

import json
import time
from contextlib import suppress
from typing import Any

import requests

from quintet.events import store as log
from quintet.events.platform import PLATFORM
from tests.conftest import Stack
from tests.fakes.upstream import Behaviour, Upstream
from tests.gateway import Answer, answer, event
from tests.integration.broker.conftest import Ask

PATIENCE = 60

HELLO: dict[str, Any] = {"request": {"messages": [{"role": "user", "content": "Hello"}]}}
MODEL = {"id": "near-1", "provider_id": "near", "weight": 7, "input_per_1k": 0.001, "output_per_1k": 0.002}


def test_the_function_may_do_all_that_a_call_needs(
    stack: Stack, keys: dict[str, str], admin: Ask, vendor: Upstream
) -> None:
    """Choose, reserve, ask a vendor, fail, note who is ill, try again, settle and record."""

    def chat(body: Any) -> Answer:
        sent = event("POST", "/v1/chat", headers={"X-API-Key": keys["RYUZEN_KEY"]}, json=body)
        return answer(stack.invoke("BrokerFunction", sent))

    assert chat(HELLO).json()["negotiated_model"] == "builtin/echo"
    admin("POST", "providers", {"id": "near", "type": "openai", "base_url": vendor.openai})
    admin("POST", "models", MODEL)
    vendor.next("server")
    named = {"request": {**HELLO["request"], "model": "near-1"}}
    deadline = time.monotonic() + PATIENCE
    while (told := chat(named)).status == 404 and time.monotonic() < deadline:
        time.sleep(0.5)  # another instance is at most ten seconds behind
    assert told.status == 200, told.text
    assert [each["failure"] for each in told.json()["decision"]["attempts"]] == ["server"]


def test_the_front_streams(front: str, keys: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {keys['RYUZEN_KEY']}"}
    body = {**HELLO, "stream": True}
    with requests.post(front + "/v1/chat", headers=headers, json=body, stream=True, timeout=30) as streamed:
        assert streamed.status_code == 200
        lines = [line.decode() for line in streamed.iter_lines() if line]
    assert lines[0] == "event: decision"
    assert json.loads(lines[1].removeprefix("data: "))["negotiated_model"] == "builtin/echo"
    assert lines[-1] == "data: [DONE]"


def test_what_a_chat_costs_is_spent_and_what_cannot_be_paid_is_told_once(
    front: str, keys: dict[str, str], function_environment: None, vendor: Upstream
) -> None:
    """From the front through the streams of the request log and of the outbox, by the deployed functions."""

    def admin(method: str, path: str, body: Any = None) -> Any:
        headers = {"X-API-Key": keys["API_KEY"]}
        told = requests.request(method, f"{front}/admin/v1/{path}", headers=headers, json=body, timeout=30)
        assert told.status_code < 300, told.text
        return told.json()

    def chat(key: str) -> requests.Response:
        body = {"request": {**HELLO["request"], "model": "spent-1", "max_tokens": 50}}
        return requests.post(front + "/v1/chat", headers={"X-API-Key": key}, json=body, timeout=30)

    def exhausted() -> list[Any]:
        return [each for each in log.read(PLATFORM, since, 1000).entries if each.event.subject == budget["id"]]

    since = log.head(PLATFORM).seq
    admin("POST", "providers", {"id": "spending", "type": "openai", "base_url": vendor.openai})
    admin("POST", "models", {**MODEL, "id": "spent-1", "provider_id": "spending"})
    try:
        issued = admin("POST", "keys", {"name": "spender", "owner": "spender", "roles": ["developer"]})
        order = {"scope": "key", "subject": issued["id"], "window": "month", "cap_usd": 0.01}
        budget = admin("POST", "budgets", order)
        costs = [chat(issued["key"]).json()["cost_usd"] for _ in range(3)]
        deadline = time.monotonic() + PATIENCE
        while (state := admin("GET", f"budgets/{budget['id']}"))["reserved_nano_usd"] and time.monotonic() < deadline:
            time.sleep(0.2)  # the emulator's streams are asked, they do not tell
        assert state["spent_nano_usd"] == round(sum(costs) * 1e9) > 0
        admin("PATCH", f"budgets/{budget['id']}", {"cap_nano_usd": state["spent_nano_usd"] + 1})
        assert [chat(issued["key"]).status_code for _ in range(3)] == [402] * 3
        while not (told := exhausted()) and time.monotonic() < deadline:
            time.sleep(0.2)
        (entry,) = told
        assert entry.event.type == "budget.exhausted"
        assert (entry.event.data["scope"], entry.event.data["subject"]) == ("key", issued["id"])
    finally:
        admin("DELETE", "models/spent-1")
        admin("DELETE", "providers/spending")


def test_whoever_hangs_up_hangs_up_on_the_vendor(
    front: str, keys: dict[str, str], admin: Ask, vendor: Upstream
) -> None:
    admin("POST", "providers", {"id": "near", "type": "openai", "base_url": vendor.openai})
    admin("POST", "models", MODEL)
    vendor.always["near-1"] = Behaviour("slow", seconds=30)
    chat = {"model": "near-1", "messages": HELLO["request"]["messages"]}
    for path, body in (("/v1/chat", {"request": chat}), ("/v1/plan", HELLO), ("/v1/chat/completions", chat)):
        vendor.asked.clear()
        vendor.asking.clear()
        deadline = time.monotonic() + PATIENCE
        while not vendor.asking.is_set() and time.monotonic() < deadline:  # the front is at most ten seconds behind
            with suppress(requests.Timeout):
                requests.post(front + path, headers={"X-API-Key": keys["API_KEY"]}, json=body, timeout=1)
        assert vendor.asked[0].hung_up.wait(30), path
