"""Five renderings of one failure: which document owns a path, and how that document says what went wrong."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quintet.errors import Failure, Kind
from quintet.store.clock import iso

Body = dict[str, Any]
Render = Callable[[Failure, str, datetime, str], Body]  # failure, its word, when, request id


@dataclass(frozen=True, slots=True)
class Dialect:
    """`words` has a (status, word) for every kind; `render` puts a failure and its word into the document's shape."""

    name: str
    words: Mapping[Kind, tuple[int, str]]
    render: Render

    def status(self, failure: Failure) -> int:
        return self.words[failure.kind][0]

    def body(self, failure: Failure, now: datetime, request_id: str) -> Body:
        return self.render(failure, failure.code or self.words[failure.kind][1], now, request_id)

    def headers(self, failure: Failure) -> dict[str, str]:
        headers = dict(failure.headers)
        if failure.retry_after is not None:
            headers.setdefault("retry-after", str(max(1, -int(-failure.retry_after // 1))))
        if self.name == "openai" and failure.kind is Kind.EXHAUSTED:
            headers["x-should-retry"] = "false"  # OpenAI's clients would otherwise retry a 429 against an empty budget
        return headers


_STATUS: Mapping[Kind, int] = {
    Kind.MALFORMED: 400,
    Kind.INVALID: 400,
    Kind.REJECTED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.EXHAUSTED: 402,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.CONFLICT: 409,
    Kind.GONE: 410,
    Kind.PRECONDITION_FAILED: 412,
    Kind.TOO_LARGE: 413,
    Kind.LOCKED: 423,
    Kind.LIMITED: 429,
    Kind.INTERNAL: 500,
    Kind.UNSUPPORTED: 501,
    Kind.UPSTREAM: 502,
    Kind.UNAVAILABLE: 503,
    Kind.TIMEOUT: 504,
}


def _words(
    words: Mapping[Kind, str] | None = None, statuses: Mapping[Kind, int] | None = None
) -> Mapping[Kind, tuple[int, str]]:
    """The common table with a document's own words and statuses laid over it."""
    words, statuses = words or {}, statuses or {}
    return {
        kind: (statuses.get(kind, status), words.get(kind, f"{kind.value}_error")) for kind, status in _STATUS.items()
    }


def _toron(failure: Failure, _word: str, _now: datetime, _request_id: str) -> Body:
    return {"status": "error", "error": failure.told}


def _cyborgmind(failure: Failure, _word: str, _now: datetime, _request_id: str) -> Body:
    return {"detail": failure.told}


def _tron(failure: Failure, word: str, _now: datetime, _request_id: str) -> Body:
    return {"error": {"message": failure.told, "type": word}}


def _openai(failure: Failure, _word: str, _now: datetime, _request_id: str) -> Body:
    kind, code = _OPENAI_WORDS[failure.kind], failure.code
    if code is None and failure.kind in _OPENAI_CODES:
        code = _OPENAI_CODES[failure.kind]
    return {"error": {"message": failure.told, "type": kind, "param": failure.details.get("field"), "code": code}}


def _broker(failure: Failure, word: str, _now: datetime, _request_id: str) -> Body:
    error: Body = {"message": failure.message, "type": word}
    if failure.mend:
        error["mend"] = failure.mend
    if failure.details:
        error["details"] = failure.details
    return {"error": error}


def _kyros(failure: Failure, word: str, now: datetime, request_id: str) -> Body:
    # A validation failure has one message for all fields; `details` says which field and what is wrong with it.
    message = "Request validation failed" if "issue" in failure.details else failure.told
    return {
        "success": False,
        "error": {"code": word, "message": message, "details": failure.details},
        "timestamp": iso(now),
        "request_id": request_id,
    }


_OPENAI_WORDS: Mapping[Kind, str] = {
    **dict.fromkeys(Kind, "invalid_request_error"),
    Kind.UNAUTHENTICATED: "authentication_error",
    Kind.FORBIDDEN: "permission_error",
    Kind.LIMITED: "rate_limit_error",
    Kind.EXHAUSTED: "insufficient_quota",
    **dict.fromkeys((Kind.INTERNAL, Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT), "server_error"),
}
_OPENAI_CODES: Mapping[Kind, str] = {
    Kind.UNAUTHENTICATED: "invalid_api_key",
    Kind.LIMITED: "rate_limit_exceeded",
    Kind.EXHAUSTED: "insufficient_quota",
}
_KYROS_WORDS: Mapping[Kind, str] = {
    Kind.MALFORMED: "VALIDATION_ERROR",
    Kind.INVALID: "VALIDATION_ERROR",
    Kind.REJECTED: "BAD_REQUEST",
    Kind.UNAUTHENTICATED: "UNAUTHORIZED",
    Kind.EXHAUSTED: "BUDGET_EXHAUSTED",
    Kind.FORBIDDEN: "FORBIDDEN",
    Kind.NOT_FOUND: "NOT_FOUND",
    Kind.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    Kind.CONFLICT: "CONFLICT",
    Kind.GONE: "GONE",
    Kind.PRECONDITION_FAILED: "PRECONDITION_FAILED",
    Kind.TOO_LARGE: "PAYLOAD_TOO_LARGE",
    Kind.LOCKED: "LOCKED",
    Kind.LIMITED: "RATE_LIMITED",
    Kind.INTERNAL: "INTERNAL_ERROR",
    Kind.UNSUPPORTED: "NOT_IMPLEMENTED",
    Kind.UPSTREAM: "UPSTREAM_ERROR",
    Kind.UNAVAILABLE: "SERVICE_UNAVAILABLE",
    Kind.TIMEOUT: "TIMEOUT",
}

TORON = Dialect("toron", _words(), _toron)
CYBORGMIND = Dialect(
    "cyborgmind",
    _words(statuses={Kind.MALFORMED: 422, Kind.INVALID: 422, Kind.UNAUTHENTICATED: 403}),
    _cyborgmind,
)
TRON = Dialect("tron", _words(), _tron)
OPENAI = Dialect("openai", _words(_OPENAI_WORDS, {Kind.EXHAUSTED: 429}), _openai)
BROKER = Dialect("broker", _words(), _broker)
KYROS = Dialect("kyros", _words(_KYROS_WORDS, {Kind.MALFORMED: 422, Kind.INVALID: 422}), _kyros)

# The first pattern that matches owns the path: the order is the precedence.
_OWNERS: tuple[tuple[re.Pattern[str], Dialect], ...] = tuple(
    (re.compile(pattern), dialect)
    for pattern, dialect in (
        (r"/api/v1(/|$)", TORON),
        (r"/(step|step_batch|reset|fork|stream|health|metrics|auth/token|agents)(/|$)", CYBORGMIND),
        (r"(/v1)?/chat/completions(/|$)|/models(/|$)|/v1/elevenlabs-llm(/|$)", OPENAI),
        (r"/v1/(chat|plan)(/|$)|/admin/v1(/|$)", BROKER),
        (r"/v1/convai(/|$)", TRON),
        (r"/v1(/|$)", KYROS),
    )
)


def dialect_of(path: str) -> Dialect:
    """tron.md's shape also answers the paths that nobody owns: it is the plainest."""
    return next((dialect for pattern, dialect in _OWNERS if pattern.match(path)), TRON)
