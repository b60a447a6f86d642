"""From a body to a question, and what is said of a bad one."""

from typing import Any

import pytest

from quintet.ask.bodies import object_of
from quintet.ask.model import MAX_PROMPT, Question, correlation_of
from quintet.ask.questions import question_of, wants_stream
from quintet.errors import Failure, Kind


def failure(body: Any) -> Failure:
    with pytest.raises(Failure) as failure:
        question_of(body)
    return failure.value


def test_a_prompt_is_enough() -> None:
    assert question_of({"prompt": "Hi"}) == Question("Hi")
    assert question_of({"prompt": "Hi", "model": None, "metadata": None, "unknown": 1}) == Question("Hi")


def test_everything_that_can_be_said() -> None:
    body = {
        "prompt": "Hi",
        "models": ["a", "b"],
        "system": "Be brief",
        "max_tokens": 5,
        "temperature": 1,
        "metadata": {"request_id": "r"},
    }
    question = question_of(body)
    assert question == Question("Hi", ("a", "b"), "Be brief", 5, 1.0, {"request_id": "r"})
    ask = question.ask()
    assert [message["role"] for message in ask.messages] == ["system", "user"]
    assert (ask.max_tokens, ask.temperature) == (5, 1.0)


def test_a_model_is_a_wish_and_auto_is_none() -> None:
    assert question_of({"prompt": "x", "model": "gpt-4o"}).terms("gpt-4o").hint == "gpt-4o"
    assert question_of({"prompt": "x", "model": "auto"}).terms("auto").hint is None


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        ({}, "prompt: Field required", Kind.INVALID),
        ({"prompt": None}, "prompt: Must be a string", Kind.INVALID),
        ({"prompt": 7}, "prompt: Must be a string", Kind.INVALID),
        ({"prompt": ["Hi"]}, "prompt: Must be a string", Kind.INVALID),
        ({"prompt": ""}, "prompt: Must not be empty", Kind.INVALID),
        ({"prompt": " \n"}, "prompt: Must not be empty", Kind.INVALID),
        ({"prompt": "a\0b"}, "prompt: Must not hold NUL characters", Kind.INVALID),
        ({"prompt": "\ud83d"}, "prompt: Must be Unicode text: it holds half a surrogate pair", Kind.INVALID),
        ({"prompt": "é" * MAX_PROMPT}, "prompt: Must not be larger than 512 KB: it has 1024", Kind.TOO_LARGE),
        ({"prompt": "x", "model": 7}, "model: Must be a string", Kind.INVALID),
        ({"prompt": "x", "model": ""}, "model: Must be a name of 1 to 200 printable characters", Kind.INVALID),
        ({"prompt": "x", "models": "a"}, "models: Must be a list of names", Kind.INVALID),
        ({"prompt": "x", "models": [1]}, "models: Must be a list of strings", Kind.INVALID),
        ({"prompt": "x", "models": ["a", "a"]}, "models: Must not name a model twice", Kind.INVALID),
        ({"prompt": "x", "models": [*"abcdefghi"]}, "models: Must not be more than 8", Kind.INVALID),
        ({"prompt": "x", "model": "a", "models": ["b"]}, "models: Give either model or models", Kind.INVALID),
        ({"prompt": "x", "metadata": []}, "metadata: Must be an object", Kind.INVALID),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens: Must be a whole number from 1 to 1000000", Kind.INVALID),
        ({"prompt": "x", "max_tokens": True}, "max_tokens: Must be a whole number from 1 to 1000000", Kind.INVALID),
        ({"prompt": "x", "temperature": 3}, "temperature: Must be a number from 0 to 2", Kind.INVALID),
        ({"prompt": "x", "system": 1}, "system: Must be a string", Kind.INVALID),
        ({"prompt": "x", "system": ""}, "system: Must not be empty", Kind.INVALID),
    ],
)
def test_a_bad_field_is_named_and_never_quoted(body: dict[str, Any], message: str, kind: Kind) -> None:
    refused = failure(body)
    assert (refused.message, refused.kind) == (message, kind)


@pytest.mark.parametrize("stream", ["true", 1, []])
def test_stream_is_true_or_false(stream: Any) -> None:
    with pytest.raises(Failure, match="stream: Must be true or false"):
        wants_stream({"stream": stream})
    assert wants_stream({"stream": True})
    assert not wants_stream({})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The request body is empty: it must be a JSON object"),
        (b" ", "The request body is empty: it must be a JSON object"),
        (b"{", "The request body is not valid JSON"),
        (b'{"prompt": NaN}', "The request body is not valid JSON"),
        (b'{"prompt": "\xff"}', "The request body is not UTF-8"),
        (b"[]", "The request body must be a JSON object"),
        (b'"prompt"', "The request body must be a JSON object"),
        (b'{"prompt": "a", "prompt": "b"}', "The request body has a name twice in one object"),
        (b"[" * 100_000, "The request body is nested too deeply"),
    ],
)
def test_a_body_is_an_object_of_json_in_utf_8(content: bytes, message: str) -> None:
    with pytest.raises(Failure) as failure:
        object_of(content)
    assert (failure.value.message, failure.value.kind) == (message, Kind.MALFORMED)


def test_the_callers_own_id_is_found_in_the_metadata() -> None:
    assert correlation_of({"request_id": "job-7"}) == "job-7"
    assert correlation_of({"requestId": "job-7"}) == "job-7"
    for given in ({}, {"request_id": 7}, {"request_id": "a b"}, {"request_id": "x" * 200}, {"request_id": "a\r\nb"}):
        assert correlation_of(given) is None
