from typing import Any

import pytest

from quintet.gateway.model import Ask, Usage
from quintet.gateway.providers.bedrock import _answer, _request, _talk
from quintet.gateway.providers.model import Fault, ProviderFault, Target

HELLO = [{"role": "user", "content": "Hello"}]
TARGET = Target("anthropic.claude-x", options={"region": "eu-north-1"})
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


def request(messages: Any = HELLO, target: Target = TARGET, **rest: Any) -> dict[str, Any]:
    ask = Ask(messages, **rest)
    return _request(ask, target, _talk(ask))


def test_says_only_what_was_asked() -> None:
    assert request() == {
        "modelId": "anthropic.claude-x",
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {},
    }


def test_limits_sampling_and_instructions_have_their_places() -> None:
    told = request(
        [{"role": "system", "content": "Be"}, *HELLO], max_tokens=9, temperature=1.5, top_p=0.5, stop=("END",)
    )
    assert told["system"] == [{"text": "Be"}]
    assert told["inferenceConfig"] == {"maxTokens": 9, "temperature": 1.0, "stopSequences": ["END"]}


def test_fields_of_the_models_own_come_from_the_catalogue() -> None:
    told = request(target=Target("m", options={"fields": {"top_k": 5}, "sampling": False}), temperature=0.1)
    assert told["additionalModelRequestFields"] == {"top_k": 5}
    assert told["inferenceConfig"] == {}


def test_tools_and_their_results_are_translated() -> None:
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "get_weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    ]
    told = request(messages, tools=[WEATHER], tool_choice="required")
    assert told["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object"}}}}],
        "toolChoice": {"any": {}},
    }
    assert told["messages"][1]["content"] == [{"toolUse": {"toolUseId": "c", "name": "get_weather", "input": {}}}]
    assert told["messages"][2]["content"] == [{"toolResult": {"toolUseId": "c", "content": [{"text": "sunny"}]}}]


def test_images_are_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    told = request([{"role": "user", "content": [image]}])
    assert told["messages"][0]["content"] == [{"image": {"format": "png", "source": {"bytes": b"\0\0\0"}}}]
    image["image_url"] = {"url": "https://example.com/a.png"}
    with pytest.raises(ProviderFault) as refused:
        request([{"role": "user", "content": [image]}])
    assert refused.value.fault == Fault.UNSUPPORTED


def test_reads_a_recorded_answer() -> None:
    told = {
        "ResponseMetadata": {"HTTPStatusCode": 200},
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hmm", "signature": "x"}}},
                    {"reasoningContent": {"redactedContent": b"\0"}},
                    {"text": "I'll look."},
                    {"toolUse": {"toolUseId": "tooluse_1", "name": "get_weather", "input": {"city": "Oslo"}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 10, "outputTokens": 7, "totalTokens": 17, "cacheReadInputTokens": 4},
        "metrics": {"latencyMs": 551},
    }
    answer = _answer(told, _talk(Ask(HELLO)))
    choice = answer.choices[0]
    assert (choice.content, choice.finish_reason) == ("I'll look.", "tool_calls")
    assert choice.tool_calls[0].arguments == '{"city": "Oslo"}'
    assert answer.usage == Usage(input=14, output=7, cached=4)
    assert "ResponseMetadata" not in answer.raw
    assert answer.raw["output"]["message"]["content"][1] == {"reasoningContent": {"redactedContent": "AA=="}}
