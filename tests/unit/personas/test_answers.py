"""Answers as OpenAI's clients read them."""

import json
from typing import Any

from quintet.gateway.model import Choice, Delta, ToolCall, Usage
from quintet.personas.chat.answers import DONE, Answering

USAGE = Usage(input=10, output=5, cached=3, reasoning=1)
CALL = ToolCall("call_1", "f", '{"a":1}')


def answering(**more: Any) -> Answering:
    return Answering("tony", 1705312200, **more)


def read(chunks: list[bytes]) -> list[Any]:
    return [json.loads(chunk.removeprefix(b"data: ")) for chunk in chunks if chunk != DONE]


def test_a_whole_answer_has_the_documents_fields_and_more() -> None:
    told = answering().whole([Choice("Hi.")], USAGE)
    assert told["id"].startswith("chatcmpl-")
    assert (told["object"], told["created"], told["model"]) == ("chat.completion", 1705312200, "tony")
    assert told["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert told["usage"]["total_tokens"] == 15
    assert told["usage"]["prompt_tokens_details"]["cached_tokens"] == 3


def test_tool_calls_come_without_content() -> None:
    message = answering().whole([Choice(None, (CALL,), "tool_calls")], USAGE)["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]


def test_the_deprecated_form_is_answered_in_its_own_words() -> None:
    told = answering(functions=True)
    choice = told.whole([Choice(None, (CALL,), "tool_calls")], USAGE)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    pieces = read(told.pieces(Delta(tool_index=0, tool_id="call_1", tool_name="f")))
    assert pieces[-1]["choices"][0]["delta"] == {"function_call": {"name": "f", "arguments": ""}}


def test_a_stream_has_its_role_first_its_reason_last_and_usage_only_if_asked() -> None:
    told = answering(include_usage=True)
    chunks = read(
        [*told.first(), *told.pieces(Delta(text="Hi")), *told.pieces(Delta(finish_reason="stop")), *told.last(USAGE)]
    )
    assert [each["choices"][0]["delta"] for each in chunks[:-1]] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hi"},
        {},
    ]
    assert [each["choices"][0]["finish_reason"] for each in chunks[:-1]] == [None, None, "stop"]
    assert [each["usage"] for each in chunks[:-1]] == [None] * 3
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 10
    assert len({(each["id"], each["created"], each["model"]) for each in chunks}) == 1
    assert answering().last(USAGE) == [DONE]


def test_every_piece_of_a_tool_call_has_its_index_and_the_first_its_name() -> None:
    told = answering()
    chunks = read(
        [
            *told.pieces(Delta(tool_index=1, tool_id="call_1", tool_name="f")),
            *told.pieces(Delta(tool_index=1, tool_arguments='{"a"')),
        ]
    )
    assert [each["choices"][0]["delta"] for each in chunks[1:]] == [
        {"tool_calls": [{"index": 1, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": '{"a"'}}]},
    ]


def test_each_of_several_choices_begins_with_its_role() -> None:
    told = answering()
    chunks = read([*told.first(), *told.pieces(Delta(text="a")), *told.pieces(Delta(text="b", choice=1))])
    assert [(each["choices"][0]["index"], "role" in each["choices"][0]["delta"]) for each in chunks] == [
        (0, True),
        (0, False),
        (1, True),
        (1, False),
    ]


def test_no_two_answers_share_an_id() -> None:
    assert len({answering().id for _ in range(1000)}) == 1000
