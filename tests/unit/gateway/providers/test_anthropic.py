from typing import Any

import pytest

from quintet.gateway.model import Ask, Usage
from quintet.gateway.providers.anthropic import _answer, _body, _talk, _url
from quintet.gateway.providers.model import Answer, Fault, ProviderFault, Target

HELLO = [{"role": "user", "content": "Hello"}]
TARGET = Target("claude-x")
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Tells it", "parameters": {"type": "object"}, "strict": True},
}
PNG = "iVBORw0KGgo="


def body(messages: Any = HELLO, target: Target = TARGET, **rest: Any) -> dict[str, Any]:
    ask = Ask(messages, **rest)
    return _body(ask, target, _talk(ask, target))


def read(told: dict[str, Any], **rest: Any) -> Answer:
    return _answer(told, _talk(Ask(HELLO, **rest), TARGET))


def test_says_only_what_was_asked_and_the_limit_that_is_required() -> None:
    assert body() == {
        "model": "claude-x",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }


def test_the_limit_is_never_more_than_the_model_gives() -> None:
    small = Target("m", max_output=1000)
    assert body(target=small)["max_tokens"] == 1000
    assert body(target=small, max_tokens=9999)["max_tokens"] == 1000
    assert body(target=small, max_tokens=10)["max_tokens"] == 10


def test_instructions_stand_apart_and_turns_alternate() -> None:
    messages = [
        {"role": "system", "content": "One"},
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]},
        {"role": "developer", "content": "Two"},
        {"role": "assistant", "content": "c "},
    ]
    told = body(messages)
    assert told["system"] == "One\n\nTwo"
    assert [(turn["role"], [part["text"] for part in turn["content"]]) for turn in told["messages"]] == [
        ("user", ["a", "b"]),
        ("assistant", ["c"]),
    ]


def test_a_conversation_opens_with_the_user() -> None:
    assert body([{"role": "assistant", "content": "Hi"}])["messages"][0]["role"] == "user"
    assert body([{"role": "system", "content": "Be"}])["messages"][0]["role"] == "user"


def test_tool_calls_and_their_results_travel_both_ways() -> None:
    messages = [
        *HELLO,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call:1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
                },
                {"id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": "broken"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call:1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "?"}]},
    ]
    told = body(messages, tools=[WEATHER])
    assert told["tools"] == [{"name": "get_weather", "description": "Tells it", "input_schema": {"type": "object"}}]
    assert told["tool_choice"] == {"type": "auto"}
    _, called, answered = told["messages"]
    assert called["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "call_2", "name": "get_weather", "input": {"arguments": "broken"}},
    ]
    assert answered == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
            {"type": "tool_result", "tool_use_id": "call_2", "content": "?"},
        ],
    }


def test_earlier_calls_are_told_in_words_where_no_tools_are_offered() -> None:
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    ]
    told = body(messages, tools=[WEATHER], tool_choice="none")
    assert "tools" not in told
    assert {part["type"] for turn in told["messages"] for part in turn["content"]} == {"text"}


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (None, {"type": "auto"}),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"type": "tool", "name": "get_weather"}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}}, {"type": "any"}),
    ],
)
def test_the_choice_of_tools_is_translated(choice: Any, told: Any) -> None:
    assert body(tools=[WEATHER], tool_choice=choice)["tool_choice"] == told


def test_one_call_at_a_time_can_be_asked_for() -> None:
    told = body(tools=[WEATHER], extra={"parallel_tool_calls": False})
    assert told["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_images_and_documents_travel_as_data_or_by_address() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
    ]
    assert body([{"role": "user", "content": content}])["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PNG}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
        {"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_content_that_the_vendor_does_not_take_is_refused(part: Any) -> None:
    with pytest.raises(ProviderFault) as refused:
        body([{"role": "user", "content": [part]}])
    assert (refused.value.fault, refused.value.field) == (Fault.UNSUPPORTED, "messages")


@pytest.mark.parametrize(
    ("extra", "field"), [({"n": 2}, "n"), ({"logprobs": True}, "logprobs"), ({"audio": {"voice": "x"}}, "audio")]
)
def test_what_only_openai_does_is_refused(extra: Any, field: str) -> None:
    with pytest.raises(ProviderFault) as refused:
        body(extra=extra)
    assert refused.value.field == field


def test_what_only_shades_the_answer_is_left_out() -> None:
    assert body(extra={"presence_penalty": 1, "user": "u", "n": 1, "logprobs": False}, seed=3) == body()


def test_sampling_is_on_the_vendors_scale_and_only_where_it_is_taken() -> None:
    assert body(temperature=1.7)["temperature"] == 1.0
    both = body(temperature=0.2, top_p=0.9)
    assert (both["temperature"], "top_p" in both) == (0.2, False)
    assert body(top_p=0.9)["top_p"] == 0.9
    assert body(target=Target("m", options={"sampling": False}), temperature=0.2).keys() == body().keys()


FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "required": ["a"]}}}


def test_a_schema_becomes_a_tool_that_must_be_called() -> None:
    told = body(response_format=FORM)
    assert told["tools"][0]["name"] == "json_answer"
    assert told["tools"][0]["input_schema"] == FORM["json_schema"]["schema"]  # type: ignore[index]
    assert told["tool_choice"] == {"type": "tool", "name": "json_answer", "disable_parallel_tool_use": True}
    assert body(response_format=FORM, tools=[WEATHER])["tool_choice"]["type"] == "any"


def test_a_schema_is_the_vendors_own_where_it_has_that() -> None:
    told = body(response_format=FORM, target=Target("m", options={"json_schema": "native"}))
    schema = FORM["json_schema"]["schema"]  # type: ignore[index]
    assert told["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "tools" not in told


def test_stop_words_and_json_objects_are_asked_for() -> None:
    assert body(stop=("END", "\n"))["stop_sequences"] == ["END"]
    assert "JSON object" in body(response_format={"type": "json_object"})["system"]


def test_reads_a_recorded_answer() -> None:
    told = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [
            {"type": "thinking", "thinking": "Let me see", "signature": "EqQB"},
            {"type": "text", "text": "I'll look."},
            {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {"city": "Oslo"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 20,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 50,
            "output_tokens": 40,
            "service_tier": "standard",
        },
    }
    answer = read(told, tools=[WEATHER])
    choice = answer.choices[0]
    assert (choice.content, choice.finish_reason) == ("I'll look.", "tool_calls")
    assert [(each.id, each.name, each.arguments) for each in choice.tool_calls] == [
        ("toolu_01", "get_weather", '{"city": "Oslo"}')
    ]
    assert answer.usage == Usage(input=100, output=40, cached=50, cache_written=30)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something new", "stop"),
        (None, "stop"),
    ],
)
def test_stop_reasons_are_openais(reason: str | None, told: str) -> None:
    assert read({"content": [], "stop_reason": reason}).choices[0].finish_reason == told


def test_the_base_url_may_end_in_v1() -> None:
    for base in ("http://h", "http://h/", "http://h/v1", "http://h/v1/"):
        assert _url(Target("m", base)) == "http://h/v1/messages"
