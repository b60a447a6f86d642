from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from quintet.gateway.providers.model import Fault
from quintet.gateway.providers.refusals import Refusal, fault_of, retry_after


def classed(status: int, body: Any) -> Fault:
    return fault_of(Refusal.read(body), vendor="it", status=status).fault


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        # OpenAI
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, Fault.CONTEXT),
        (
            429,
            {"error": {"message": "x", "type": "insufficient_quota", "code": "insufficient_quota"}},
            Fault.UNAUTHORIZED,
        ),
        (429, {"error": {"message": "x", "code": "rate_limit_exceeded"}}, Fault.RATE_LIMITED),
        (404, {"error": {"message": "x", "code": "model_not_found"}}, Fault.REFUSED),
        # vLLM, old and new
        (
            400,
            {"object": "error", "message": "This model's maximum context length is 10 tokens.", "code": 400},
            Fault.CONTEXT,
        ),
        # llama.cpp
        (400, {"error": {"code": 400, "message": "x", "type": "exceed_context_size_error"}}, Fault.CONTEXT),
        # Gemini's compatible endpoint answers a list
        (
            400,
            [{"error": {"message": "The input token count (9) exceeds the maximum number of tokens allowed"}}],
            Fault.CONTEXT,
        ),
        (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}}], Fault.RATE_LIMITED),
        # Ollama
        (400, {"error": "invalid options"}, Fault.REFUSED),
        (404, {"error": "model 'x' not found"}, Fault.REFUSED),
        # Groq
        (413, {"error": {"message": "x", "type": "tokens"}}, Fault.CONTEXT),
        # Anthropic
        (
            400,
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}},
            Fault.CONTEXT,
        ),
        (
            400,
            {
                "error": {
                    "type": "invalid_request_error",
                    "message": "input length and `max_tokens` exceed context limit",
                }
            },
            Fault.CONTEXT,
        ),
        (
            400,
            {"error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}},
            Fault.UNAUTHORIZED,
        ),
        (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, Fault.SERVER),
        # whoever stands in between
        (502, b"<html>Bad gateway</html>", Fault.SERVER),
        (504, b"", Fault.TIMEOUT),
        (408, b"", Fault.TIMEOUT),
        (301, b"", Fault.REFUSED),
        (402, {"detail": "pay"}, Fault.UNAUTHORIZED),
        (400, b"[" * 100_000, Fault.REFUSED),
        (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, Fault.REFUSED),
    ],
)
def test_an_error_is_classed_by_code_then_status_then_wording(status: int, body: Any, fault: Fault) -> None:
    assert classed(status, body) == fault


def test_an_error_within_a_stream_has_no_status_but_its_words() -> None:
    told = fault_of(Refusal.read({"error": {"type": "rate_limit_error", "message": "x"}}), vendor="it", charged=True)
    assert (told.fault, told.status) == (Fault.RATE_LIMITED, 429)
    assert fault_of(Refusal.read({"error": {"code": 502, "message": "x"}}), vendor="it").fault == Fault.SERVER


def test_the_message_names_codes_and_fields_but_no_prose() -> None:
    body = {"error": {"message": "Unknown: MY PROMPT", "type": "invalid_request_error", "param": "messages[0].content"}}
    told = fault_of(Refusal.read(body), vendor="it", status=400)
    assert told.message == "it answered 400: invalid_request_error (messages[0].content)"
    assert told.field == "messages[0].content"


def test_a_field_is_read_from_the_head_of_the_wording_too() -> None:
    body = {"error": {"type": "invalid_request_error", "message": "messages.0.content: Field required"}}
    assert fault_of(Refusal.read(body), vendor="it", status=400).field == "messages.0.content"


def test_a_field_is_read_from_backticks_too() -> None:
    body = {"error": {"type": "invalid_request_error", "message": "`temperature` is deprecated for this model."}}
    assert fault_of(Refusal.read(body), vendor="it", status=400).field == "temperature"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_field_is_read_from_what_fastapi_says(wrapped: bool) -> None:
    found = {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "input": "MY PROMPT"}]}
    body = {"object": "error", "message": found, "type": "invalid_request_error"} if wrapped else found
    told = fault_of(Refusal.read(body), vendor="it", status=422)
    assert (told.field, "extra_forbidden" in told.words) == ("stream_options", True)
    assert "PROMPT" not in told.message


def test_words_that_are_none_are_not_shown() -> None:
    told = fault_of(Refusal.read({"error": {"code": "<script>\n", "message": ""}}), vendor="it", status=400)
    assert told.message == "it answered 400"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, 86_400),
        ({"retry-after": "3", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after_is_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 <= (retry_after({"retry-after": when}) or 0) <= 30
