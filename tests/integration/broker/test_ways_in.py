"""The broker as it is reached: through the front, and as a function in its own role."""

import json
import time
from typing import Any

import requests

from tests.conftest import Stack
from tests.fakes.upstream import Upstream
from tests.gateway import Answer, answer, event
from tests.integration.broker.conftest import Ask

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
    deadline = time.monotonic() + 15
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
