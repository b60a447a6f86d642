"""Every document says what went wrong in its own words: the whole table, and who owns which path."""

from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.http.dialects import BROKER, CYBORGMIND, KYROS, OPENAI, TORON, TRON, Dialect, dialect_of

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
ALL = [TORON, CYBORGMIND, TRON, OPENAI, BROKER, KYROS]


def body(dialect: Dialect, failure: Failure) -> Any:
    return dialect.body(failure, NOW, "req_123456789")


@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("kind", Kind)
def test_every_dialect_has_a_status_and_a_shape_for_every_kind(dialect: Dialect, kind: Kind) -> None:
    failure = Failure(kind, "what went wrong")
    assert 400 <= dialect.status(failure) <= 599
    told = body(dialect, failure)
    match dialect.name:
        case "toron":
            assert told == {"status": "error", "error": "what went wrong"}
        case "cyborgmind":
            assert told == {"detail": "what went wrong"}
        case "tron" | "broker":
            assert told == {"error": {"message": "what went wrong", "type": f"{kind.value}_error"}}
        case "openai":
            assert told["error"].keys() == {"message", "type", "param", "code"}
            assert told["error"]["type"]
        case "kyros":
            assert told.keys() == {"success", "error", "timestamp", "request_id"}
            assert told["error"]["code"] == told["error"]["code"].upper()


def test_words_are_one_to_one_where_a_client_could_tell_kinds_apart_only_by_them() -> None:
    codes = [body(KYROS, Failure(kind, ""))["error"]["code"] for kind in Kind]
    assert len(set(codes)) == len(Kind) - 1  # malformed and invalid are both VALIDATION_ERROR


DOCUMENTED = {
    "kyros.md, not found": (
        KYROS,
        Failure(Kind.NOT_FOUND, "The requested resource was not found", code="RESOURCE_NOT_FOUND"),
        404,
        {
            "success": False,
            "error": {
                "code": "RESOURCE_NOT_FOUND",
                "message": "The requested resource was not found",
                "details": {},
            },
            "timestamp": "2024-01-15T10:30:00Z",
            "request_id": "req_123456789",
        },
    ),
    "kyros.md, validation": (
        KYROS,
        Failure(
            Kind.INVALID,
            "priority: Must be one of: low, medium, high, critical",
            details={"field": "priority", "issue": "Must be one of: low, medium, high, critical"},
        ),
        422,
        {
            "success": False,
            "error": {
                "code": "VALIDATION_ERROR",
                "message": "Request validation failed",
                "details": {"field": "priority", "issue": "Must be one of: low, medium, high, critical"},
            },
            "timestamp": "2024-01-15T10:30:00Z",
            "request_id": "req_123456789",
        },
    ),
    "cyborgmind.md, wrong observation": (
        CYBORGMIND,
        Failure(Kind.REJECTED, "Expected observation of length 4, got 2"),
        400,
        {"detail": "Expected observation of length 4, got 2"},
    ),
    "cyborgmind.md, no token": (
        CYBORGMIND,
        Failure(Kind.UNAUTHENTICATED, "Invalid authentication token"),
        403,
        {"detail": "Invalid authentication token"},
    ),
    "cyborgmind.md, too many": (
        CYBORGMIND,
        Failure(Kind.LIMITED, "Rate limit exceeded: 100 per 1 minute"),
        429,
        {"detail": "Rate limit exceeded: 100 per 1 minute"},
    ),
    "cyborgmind.md, no JWT": (
        CYBORGMIND,
        Failure(Kind.UNSUPPORTED, "JWT authentication is not enabled. Set api.jwt_enabled=true in config."),
        501,
        {"detail": "JWT authentication is not enabled. Set api.jwt_enabled=true in config."},
    ),
    "toron.md": (TORON, Failure(Kind.INVALID, "<message>"), 400, {"status": "error", "error": "<message>"}),
    "tron.md": (
        TRON,
        Failure(Kind.NOT_FOUND, "Description of the error", code="error_type"),
        404,
        {"error": {"message": "Description of the error", "type": "error_type"}},
    ),
}


@pytest.mark.parametrize(("dialect", "failure", "status", "expected"), DOCUMENTED.values(), ids=list(DOCUMENTED))
def test_speaks_as_its_document_does(dialect: Dialect, failure: Failure, status: int, expected: Any) -> None:
    assert (dialect.status(failure), body(dialect, failure)) == (status, expected)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Kind.UNAUTHENTICATED, 401, "UNAUTHORIZED"),
        (Kind.FORBIDDEN, 403, "FORBIDDEN"),
        (Kind.NOT_FOUND, 404, "NOT_FOUND"),
        (Kind.INVALID, 422, "VALIDATION_ERROR"),
        (Kind.MALFORMED, 422, "VALIDATION_ERROR"),
        (Kind.LIMITED, 429, "RATE_LIMITED"),
        (Kind.INTERNAL, 500, "INTERNAL_ERROR"),
        (Kind.UNAVAILABLE, 503, "SERVICE_UNAVAILABLE"),
    ],
)
def test_kyros_has_its_table_of_codes(kind: Kind, status: int, code: str) -> None:
    failure = Failure(kind, "")
    assert (KYROS.status(failure), body(KYROS, failure)["error"]["code"]) == (status, code)


def test_a_validation_failure_without_a_field_keeps_its_own_words() -> None:
    assert (
        body(KYROS, Failure(Kind.INVALID, "a cycle of dependencies"))["error"]["message"] == "a cycle of dependencies"
    )


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code"),
    [
        (Kind.UNAUTHENTICATED, 401, "authentication_error", "invalid_api_key"),
        (Kind.LIMITED, 429, "rate_limit_error", "rate_limit_exceeded"),
        (Kind.EXHAUSTED, 429, "insufficient_quota", "insufficient_quota"),
        (Kind.UPSTREAM, 502, "server_error", None),
        (Kind.INVALID, 400, "invalid_request_error", None),
    ],
)
def test_openai_clients_get_the_words_that_they_know(kind: Kind, status: int, type_: str, code: str | None) -> None:
    failure = Failure(kind, "why", details={"field": "model"})
    assert OPENAI.status(failure) == status
    assert body(OPENAI, failure) == {"error": {"message": "why", "type": type_, "param": "model", "code": code}}


def test_a_failures_own_code_wins() -> None:
    failure = Failure(Kind.NOT_FOUND, "no such model", code="model_not_found")
    assert body(OPENAI, failure)["error"]["code"] == "model_not_found"
    assert body(BROKER, failure)["error"]["type"] == "model_not_found"
    assert body(KYROS, failure)["error"]["code"] == "model_not_found"


def test_the_broker_shows_details() -> None:
    failure = Failure(Kind.UPSTREAM, "no eligible models", details={"excluded": {"m": "disabled"}})
    assert body(BROKER, failure)["error"]["details"] == {"excluded": {"m": "disabled"}}


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.1, "2"), (59.01, "60")])
def test_a_wait_is_whole_seconds_and_never_none(seconds: float, header: str) -> None:
    headers = KYROS.headers(Failure(Kind.LIMITED, "", retry_after=seconds))
    assert headers == {"retry-after": header}


def test_openai_clients_do_not_retry_against_an_empty_budget() -> None:
    assert OPENAI.headers(Failure(Kind.EXHAUSTED, "")) == {"x-should-retry": "false"}
    assert "x-should-retry" not in OPENAI.headers(Failure(Kind.LIMITED, ""))
    assert "x-should-retry" not in BROKER.headers(Failure(Kind.EXHAUSTED, ""))


def test_a_failures_own_headers_are_sent() -> None:
    assert TRON.headers(Failure(Kind.METHOD_NOT_ALLOWED, "", headers={"allow": "GET"})) == {"allow": "GET"}


OWNERS: list[tuple[Dialect, list[str]]] = [
    (TORON, ["/api/v1", "/api/v1/ask", "/api/v1/stream", "/api/v1/no/such/path"]),
    (CYBORGMIND, ["/step", "/step_batch", "/reset", "/fork", "/auth/token", "/stream", "/health", "/metrics"]),
    (CYBORGMIND, ["/agents", "/agents/a", "/step/", "/auth/token/", "/health/x"]),
    (OPENAI, ["/chat/completions", "/v1/chat/completions", "/models", "/models/gpt-4o", "/v1/chat/completions/"]),
    (OPENAI, ["/v1/elevenlabs-llm", "/v1/elevenlabs-llm/chat/completions"]),
    (BROKER, ["/v1/chat", "/v1/plan", "/admin/v1", "/admin/v1/keys"]),
    (KYROS, ["/v1", "/v1/tasks", "/v1/models", "/v1/models/select", "/v1/auth/token", "/v1/chats", "/v1/agents/x"]),
    (
        TRON,
        ["/api/status", "/api/v11", "/vapi", "/slack", "/internal/caddy-ask", "/healthz", "/", "/v2/tasks", "/steps"],
    ),
]


@pytest.mark.parametrize(("path", "dialect"), [(path, dialect) for dialect, paths in OWNERS for path in paths])
def test_a_path_has_one_owner(path: str, dialect: Dialect) -> None:
    assert dialect_of(path) is dialect
