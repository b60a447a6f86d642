"""The frame around every app: one answer, one record and the same headers, whatever the app does."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.http.edge import MAX_BODY, MAX_PATH, Edge
from quintet.http.exchange import Exchange, exchange_of
from tests.asgi import ask, asked
from tests.loops import on_a_loop

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW


class Frame:
    """An edge, what it recorded, and an app that does what the test gives it."""

    def __init__(self, app: Any, gate: Any = None) -> None:
        self.records: list[Exchange] = []
        self.facts: list[dict[str, Any]] = []
        self.said_when_recorded: list[int] = []
        self.sent = 0
        self.edge = Edge(app, "tasks", gate or self.open_gate, self.record, FixedClock())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted(message: Any) -> None:
            await send(message)
            self.sent += 1

        self.sent = 0
        await self.edge(scope, receive, counted)

    async def open_gate(self, exchange: Exchange) -> None: ...

    async def record(self, exchange: Exchange) -> None:
        self.records.append(exchange)
        self.facts.append(dict(exchange.facts))
        self.said_when_recorded.append(self.sent)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def read_all(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await hello(scope, receive, send)


async def fail(scope: Any, receive: Any, send: Any) -> None:
    raise LookupError("s3cret")


async def fail_midway(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise LookupError("s3cret")


@on_a_loop
async def test_every_answer_carries_a_request_id_and_is_recorded_once() -> None:
    frame = Frame(hello)
    answer = await ask(frame, "GET", "/v1/tasks")
    (record,) = frame.records
    assert answer.headers["x-request-id"] == record.request_id
    assert record.request_id.startswith("req_")
    assert record.record_id.startswith("rec_")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (record.group, record.method, record.path, record.status, record.at) == (
        "tasks",
        "GET",
        "/v1/tasks",
        200,
        NOW,
    )
    assert (record.ip, record.route, record.failure) == ("203.0.113.7", "unmatched", None)


@on_a_loop
async def test_the_record_is_written_before_the_last_byte_leaves() -> None:
    frame = Frame(hello)
    await ask(frame, "GET", "/v1/tasks")
    assert frame.said_when_recorded == [1]  # the status, and not yet the body


SANE = ["abc-123", "a" * 128, "1-5bef4de7:a.b_c+d"]
INSANE = ["", "a" * 129, "a b", "a\tb", "é", "-a"]


@pytest.mark.parametrize(("asked_for", "kept"), [*((each, True) for each in SANE), *((each, False) for each in INSANE)])
@on_a_loop
async def test_keeps_a_callers_request_id_only_if_it_is_sane(asked_for: str, kept: bool) -> None:
    frame = Frame(hello)
    answer = await ask(frame, "GET", "/v1/tasks", headers={"X-Request-ID": asked_for})
    assert (answer.headers["x-request-id"] == asked_for) is kept
    assert frame.records[0].record_id.startswith("rec_")


@on_a_loop
async def test_an_exception_is_a_500_in_the_paths_dialect_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    frame = Frame(fail)
    answer = await ask(frame, "GET", "/v1/tasks", headers={"X-Request-ID": "abc"})
    assert answer.status == 500
    assert answer.json() == {
        "success": False,
        "error": {"code": "INTERNAL_ERROR", "message": "Internal server error", "details": {}},
        "timestamp": "2026-11-20T10:30:00Z",
        "request_id": "abc",
    }
    assert frame.records[0].failure is not None
    (logged,) = caplog.records
    assert (logged.levelno, logged.exc_info is not None) == (logging.ERROR, True)


@on_a_loop
async def test_a_failure_that_no_route_has_caught_is_answered() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        raise Failure(Kind.CONFLICT, "somebody else was first")

    answer = await ask(Frame(refuse), "GET", "/step")
    assert (answer.status, answer.json()) == (409, {"detail": "somebody else was first"})


@on_a_loop
async def test_the_gate_turns_away_before_the_app_is_asked() -> None:
    async def closed(exchange: Exchange) -> None:
        exchange.answer_headers["X-RateLimit-Remaining"] = "0"
        raise Failure(Kind.LIMITED, "too many", retry_after=3)

    answer = await ask(Frame(fail, closed), "POST", "/v1/tasks")
    assert (answer.status, answer.headers["retry-after"], answer.headers["X-RateLimit-Remaining"]) == (429, "3", "0")


@on_a_loop
async def test_half_an_answer_is_cut_and_never_completed() -> None:
    frame = Frame(fail_midway)
    with pytest.raises(Failure):
        async with asked(frame, "GET", "/v1/tasks") as exchange:
            pass
    assert not exchange.whole
    assert frame.records[0].failure is not None
    assert frame.facts[0] == {"cut_short": True}


@on_a_loop
async def test_an_answer_that_nobody_waited_for_is_recorded() -> None:
    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    frame = Frame(wait)
    async with asked(frame, "GET", "/v1/tasks") as exchange:
        await exchange.said(1)
        exchange.cancel()
    assert frame.facts == [{"cut_short": True}]


@on_a_loop
async def test_a_lost_record_does_not_spoil_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def lose(exchange: Exchange) -> None:
        raise ConnectionError

    answer = await ask(Edge(hello, "tasks", Frame(hello).open_gate, lose, FixedClock()), "GET", "/v1/tasks")
    assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
    assert "request record lost" in caplog.text


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413)])
@on_a_loop
async def test_a_body_is_at_most_one_mebibyte(size: int, status: int, declared: bool, pieces: int) -> None:
    headers = {"Content-Length": str(size)} if declared else {}
    answer = await ask(Frame(read_all), "POST", "/v1/tasks", body=bytes(size), pieces=pieces, headers=headers)
    assert answer.status == status


@pytest.mark.parametrize(("name", "status"), [("a" * 1000, 200), ("a" * MAX_PATH, 404), ("\u2603" * 400, 404)])
@on_a_loop
async def test_a_path_that_no_key_is_as_long_as_leads_nowhere(name: str, status: int) -> None:
    assert (await ask(Frame(hello), "GET", f"/v1/tasks/{name}")).status == status


@on_a_loop
async def test_the_app_finds_the_exchange_in_its_scope() -> None:
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(exchange_of(scope))
        await hello(scope, receive, send)

    frame = Frame(app)
    await ask(frame, "GET", "/v1/tasks", headers={"X-API-Key": "k"})
    assert found == frame.records
    assert found[0].headers == {"x-api-key": "k"}


@on_a_loop
async def test_browsers_may_read_the_control_panel_and_nothing_else() -> None:
    for path, allowed in (("/api/status", True), ("/api/v1/ask", True), ("/v1/tasks", False), ("/apis", False)):
        for app in (hello, fail):
            answer = await ask(Frame(app), "GET", path)
            assert (answer.headers.get("access-control-allow-origin") == "*") is allowed


@on_a_loop
async def test_a_preflight_is_answered_without_the_gate_or_the_app() -> None:
    async def closed(exchange: Exchange) -> None:
        raise Failure(Kind.UNAUTHENTICATED, "who are you")

    frame = Frame(fail, closed)
    answer = await ask(frame, "OPTIONS", "/api/status", headers={"Origin": "https://example.test"})
    assert (answer.status, answer.body) == (204, b"")
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert frame.records[0].status == 204
    elsewhere = await ask(Frame(hello, closed), "OPTIONS", "/v1/tasks")
    assert elsewhere.status == 401


@on_a_loop
async def test_what_is_no_request_passes_through() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await Frame(app).edge({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]


class LambdaContext:
    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@on_a_loop
async def test_a_request_is_refused_shortly_before_its_lambda_ends() -> None:
    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    frame = Frame(wait)
    answer = await ask(frame, "GET", "/v1/tasks", **{"aws.context": LambdaContext(50)})
    assert (answer.status, answer.json()["error"]["code"]) == (504, "TIMEOUT")
    assert frame.records[0].failure is not None
    assert frame.records[0].failure.kind is Kind.TIMEOUT


@on_a_loop
async def test_a_timeout_of_the_apps_own_is_no_fault_of_the_clock() -> None:
    async def give_up(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError

    answer = await ask(Frame(give_up), "GET", "/v1/tasks", **{"aws.context": LambdaContext(29_000)})
    assert answer.status == 500


@pytest.mark.parametrize(
    ("left_ms", "kept", "patience"), [(29_000, 1.5, 27.5), (15_000, 3.0, 12.0), (1_500, 1.5, 1.35), (0, 1.5, 0.0)]
)
@on_a_loop
async def test_a_short_life_keeps_less_for_its_last_words(left_ms: int, kept: float, patience: float) -> None:
    frame = Frame(hello)
    await ask(frame, "GET", "/v1/tasks", **{"aws.context": LambdaContext(left_ms)})
    assert frame.records[0].patience(kept) == pytest.approx(patience)


@on_a_loop
async def test_without_a_lambda_no_clock_runs_out() -> None:
    frame = Frame(hello)
    await ask(frame, "GET", "/v1/tasks")
    assert frame.records[0].patience(1.5) is None
