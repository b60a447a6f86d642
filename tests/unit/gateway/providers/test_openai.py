from typing import Any

import pytest

from quintet.gateway.model import Ask, Usage
from quintet.gateway.providers.model import Fault, ProviderFault, Target
from quintet.gateway.providers.openai import _answer, _body, _deltas, _headers, _Tools, _url, usage_of

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
OPENAI = Target("gpt-x")
OTHER = Target("llama", "http://localhost:11434/v1")


def body(target: Target = OTHER, messages: Any = HELLO, **rest: Any) -> dict[str, Any]:
    return _body(Ask(messages, **rest), target)


def test_says_only_what_was_asked() -> None:
    assert body() == {"model": "llama", "messages": HELLO}


def test_hands_on_what_the_vendor_knows() -> None:
    told = body(
        tools=[TOOL],
        tool_choice="auto",
        response_format={"type": "json_object"},
        max_tokens=5,
        temperature=0.0,
        top_p=0.5,
        stop=("a", "b"),
        seed=7,
        extra={"n": 2, "parallel_tool_calls": False, "reasoning_effort": "low", "user": "u"},
    )
    told.pop("messages")
    assert told == {
        "model": "llama",
        "tools": [TOOL],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "stop": ["a", "b"],
        "seed": 7,
        "n": 2,
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "user": "u",
    }


def test_keeps_back_what_changes_the_price_or_stores_the_prompt() -> None:
    assert body(extra={"service_tier": "priority", "store": True, "metadata": {"a": "b"}, "call": {}}).keys() == {
        "model",
        "messages",
    }


def test_the_limit_has_its_new_name_at_openai_and_the_old_elsewhere() -> None:
    assert "max_completion_tokens" in body(OPENAI, max_tokens=5)
    assert "max_tokens" in body(OTHER, max_tokens=5)
    named = Target("m", options={"max_tokens_field": "max_new_tokens"})
    assert body(named, max_tokens=5)["max_new_tokens"] == 5


def test_sampling_parameters_go_where_they_are_taken() -> None:
    given: dict[str, Any] = {"temperature": 0.5, "top_p": 0.5, "extra": {"presence_penalty": 1}}
    assert body(Target("m", options={"sampling": False}), **given).keys() == {"model", "messages"}
    assert body(Target("m", options={"sampling": ["top_p"]}), **given).keys() == {"model", "messages", "top_p"}


def test_messages_lose_what_strict_servers_refuse() -> None:
    messages = [
        {"role": "developer", "content": "Be terse", "vapi": 1},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}], "audio": None},
        {"role": "tool", "tool_call_id": "c", "content": "ok", "is_error": False},
    ]
    assert body(messages=messages)["messages"] == [
        {"role": "system", "content": "Be terse"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]


@pytest.mark.parametrize(
    ("rest", "field"),
    [
        ({"extra": {"audio": {"voice": "alloy"}}}, "audio"),
        ({"extra": {"modalities": ["text", "audio"]}}, "modalities"),
        ({"extra": {"web_search_options": {"a": 1}}}, "web_search_options"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
    ],
)
def test_refuses_what_cannot_be_answered_here(rest: dict[str, Any], field: str) -> None:
    with pytest.raises(ProviderFault) as refused:
        body(**rest)
    assert (refused.value.fault, refused.value.field) == (Fault.UNSUPPORTED, field)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, None),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": -1, "completion_tokens": 2}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(5, 2)),
        # Gemini counts its thoughts in the total alone
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 50}, Usage(5, 45)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 12},
            },
            Usage(100, 20, cached=64, reasoning=12),
        ),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}, Usage(5, 2)),
    ],
)
def test_usage_is_read_or_unknown(told: Any, usage: Usage | None) -> None:
    assert usage_of(told) == usage


def test_reads_answers_in_parts_refusals_and_missing_reasons() -> None:
    told = {
        "choices": [
            {"message": {"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]}},
            {"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"},
            {"message": {"tool_calls": [{"function": {"name": "f", "arguments": ""}}]}},
        ]
    }
    first, second, third = _answer(told).choices
    assert (first.content, first.finish_reason) == ("Hi", "stop")
    assert second.refusal == "No."
    assert (third.finish_reason, third.tool_calls[0].arguments) == ("tool_calls", "{}")


@pytest.mark.parametrize("told", [{}, {"choices": []}, {"choices": [None]}, {"choices": [{"text": "old"}]}])
def test_what_is_no_answer_is_malformed(told: Any) -> None:
    with pytest.raises(ProviderFault) as raised:
        _answer(told)
    assert raised.value.fault == Fault.MALFORMED


def test_an_error_in_an_answer_that_says_200_is_an_error() -> None:
    with pytest.raises(ProviderFault) as raised:
        _answer({"error": {"code": 502, "message": "Provider returned error"}})
    assert raised.value.fault == Fault.SERVER


def test_tool_pieces_without_index_are_told_apart_by_their_ids() -> None:
    tools = _Tools()
    pieces: list[dict[str, Any]] = [
        {"id": "a", "function": {"name": "f", "arguments": "{"}},
        {"function": {"arguments": "}"}},
        {"id": "b", "function": {"name": "g", "arguments": "{}"}},
    ]
    told = [delta for each in pieces for delta in _deltas({"delta": {"tool_calls": [each]}}, tools)]
    assert [(each.tool_index, each.tool_id, each.tool_name, each.tool_arguments) for each in told] == [
        (0, "a", "f", "{"),
        (0, None, None, "}"),
        (1, "b", "g", "{}"),
    ]


def test_an_empty_reason_is_none() -> None:
    assert [each.finish_reason for each in _deltas({"delta": {"content": "a"}, "finish_reason": ""}, _Tools())] == [
        None
    ]


def test_azure_has_its_key_and_its_version_elsewhere() -> None:
    azure = Target(
        "gpt-x", "https://me.openai.azure.com/openai/v1?api-version=preview", "k", options={"auth": "api-key"}
    )
    assert _url(azure) == "https://me.openai.azure.com/openai/v1/chat/completions?api-version=preview"
    assert _headers(azure)["api-key"] == "k"
    assert "max_completion_tokens" in body(azure, max_tokens=1)
