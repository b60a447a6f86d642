"""OpenAI's request vocabulary: what is accepted, what is refused and how it is named."""

from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.personas.chat.request import chat_request

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
NAMELESS = {"function": {"name": "f"}}
OTHER = {"type": "function", "function": {"name": "g"}}
CUSTOM = {"type": "custom", "custom": {"name": "g"}}

# Everything that OpenAI's clients may send beside messages, with values that ask for nothing impossible.
EVERYTHING: dict[str, Any] = {
    "model": "tony",
    "audio": None,
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "logit_bias": {},
    "logprobs": False,
    "max_completion_tokens": 10,
    "max_tokens": 99,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "moderation": {"model": "x"},
    "n": 1,
    "parallel_tool_calls": True,
    "prediction": None,
    "prompt_cache_key": "k",
    "prompt_cache_options": {},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "text"},
    "safety_identifier": "s",
    "seed": 7,
    "service_tier": "auto",
    "stop": ["a", "b"],
    "store": False,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "temperature": 0.7,
    "tool_choice": "auto",
    "tools": [TOOL, CUSTOM],
    "top_p": 1,
    "user": "u",
    "verbosity": "medium",
    "some_vendors_own": {"x": 1},
}


def test_everything_that_clients_send_is_accepted() -> None:
    asked = chat_request({"messages": HELLO, **EVERYTHING})
    assert (asked.model, asked.stream, asked.include_usage) == ("tony", True, True)
    ask = asked.ask
    assert (ask.max_tokens, ask.temperature, ask.top_p, ask.stop, ask.seed) == (10, 0.7, 1.0, ("a", "b"), 7)
    assert ask.tools == (TOOL, CUSTOM)
    assert ask.response_format is None
    assert ask.extra == {"reasoning_effort": "low"}


def test_nulls_are_as_good_as_nothing() -> None:
    asked = chat_request({"messages": HELLO, **dict.fromkeys(EVERYTHING)})
    assert asked == chat_request({"messages": HELLO})


def test_what_only_some_models_can_is_passed_on() -> None:
    told = {"n": 2, "logprobs": True, "top_logprobs": 3, "parallel_tool_calls": False, "modalities": ["text", "audio"]}
    assert chat_request({"messages": HELLO, **told}).ask.extra == told


def test_every_role_and_kind_of_content_is_read() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "name": "ada",
            "content": [
                {"type": "text", "text": "What is this?", "prompt_cache_breakpoint": True},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "image_url", "image_url": "https://example.com/a.png"},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "file", "file": {"file_data": "AA==", "filename": "a.pdf"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [_call("c1")]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "42"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "refusal": "No."},
        {"role": "user", "content": "Why?"},
    ]
    read = chat_request({"messages": messages}).messages
    assert [each["role"] for each in read] == [
        "developer",
        "user",
        "assistant",
        "tool",
        "assistant",
        "assistant",
        "user",
    ]
    assert read[1]["content"][2]["image_url"] == {"url": "https://example.com/a.png"}
    assert read[5]["content"] == "No."


def test_the_deprecated_functions_become_tools() -> None:
    asked = chat_request(
        {
            "messages": [
                *HELLO,
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "42"},
            ],
            "functions": [{"name": "f"}],
            "function_call": {"name": "f"},
        }
    )
    assert asked.functions
    assert asked.ask.tool_choice == {"type": "function", "function": {"name": "f"}}
    assert asked.messages[1]["tool_calls"][0]["id"] == asked.messages[2]["tool_call_id"]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("messages", {}),
        ("messages", {"messages": []}),
        ("messages", {"messages": None}),
        ("messages", {"messages": "hi"}),
        ("messages.0", {"messages": ["hi"]}),
        ("messages.0.role", {"messages": [{"content": "x"}]}),
        ("messages.0.role", {"messages": [{"role": "wizard", "content": "x"}]}),
        ("messages.0.role", {"messages": [{"role": [], "content": "x"}]}),
        ("messages.0.content", {"messages": [{"role": "user"}]}),
        ("messages.0.content", {"messages": [{"role": "user", "content": 3}]}),
        ("messages.0.content.0", {"messages": [{"role": "user", "content": ["x"]}]}),
        ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"type": "video"}]}]}),
        ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"type": []}]}]}),
        ("messages.0.content.0.text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        ("messages.0.tool_call_id", {"messages": [{"role": "tool", "content": "x"}]}),
        ("messages.0.tool_calls.0.id", {"messages": [{"role": "assistant", "tool_calls": [NAMELESS]}]}),
        ("messages.0.name", {"messages": [{"role": "user", "content": "x", "name": "n" * 257}]}),
        ("messages.0.tool_call_id", {"messages": [{"role": "tool", "content": "x", "tool_call_id": "i" * 4097}]}),
        (
            "messages.0.tool_calls.0.id",
            {"messages": [{"role": "assistant", "tool_calls": [{**NAMELESS, "id": "i" * 4097}]}]},
        ),
        ("temperature", {"messages": HELLO, "temperature": 2.1}),
        ("temperature", {"messages": HELLO, "temperature": "warm"}),
        ("temperature", {"messages": HELLO, "temperature": True}),
        ("top_p", {"messages": HELLO, "top_p": -0.1}),
        ("max_tokens", {"messages": HELLO, "max_tokens": 0}),
        ("max_tokens", {"messages": HELLO, "max_tokens": 1.5}),
        ("max_completion_tokens", {"messages": HELLO, "max_completion_tokens": -1}),
        ("n", {"messages": HELLO, "n": 0}),
        ("n", {"messages": HELLO, "n": 1000}),
        ("stop", {"messages": HELLO, "stop": list("abcde")}),
        ("stop.0", {"messages": HELLO, "stop": [3]}),
        ("stream", {"messages": HELLO, "stream": "yes"}),
        ("stream_options", {"messages": HELLO, "stream_options": {"include_usage": True}}),
        ("tools.0.function.name", {"messages": HELLO, "tools": [{"type": "function", "function": {}}]}),
        ("tools.0.function.name", {"messages": HELLO, "tools": [{"type": "function", "function": {"name": "a b"}}]}),
        ("tools.0.type", {"messages": HELLO, "tools": [{"type": "magic"}]}),
        ("tools", {"messages": HELLO, "tools": [TOOL] * 129}),
        ("tool_choice", {"messages": HELLO, "tool_choice": "required"}),
        ("tool_choice", {"messages": HELLO, "tools": [TOOL], "tool_choice": "sometimes"}),
        ("tool_choice.function.name", {"messages": HELLO, "tools": [TOOL], "tool_choice": OTHER}),
        ("response_format.type", {"messages": HELLO, "response_format": {"type": "xml"}}),
        ("response_format.json_schema", {"messages": HELLO, "response_format": {"type": "json_schema"}}),
        ("reasoning_effort", {"messages": HELLO, "reasoning_effort": "some"}),
        ("top_logprobs", {"messages": HELLO, "top_logprobs": 3}),
        ("model", {"messages": HELLO, "model": 3}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(field: str, told: dict[str, Any]) -> None:
    with pytest.raises(Failure) as refused:
        chat_request(told)
    assert refused.value.kind is Kind.INVALID
    assert refused.value.details["field"] == field


def _call(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": "f", "arguments": "{}"}}
