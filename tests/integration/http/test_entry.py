"""The buffered way in: API Gateway's event to an answer, in one call."""

import asyncio
from typing import Any

from quintet.http.entry import Entry, is_request, kept_loop
from tests.gateway import call, event
from tests.lambdas import bare, streams


def test_answers_a_request() -> None:
    answer = call(streams.handler, "POST", "/api/v1/echo?name=a%20b", body="é")
    assert (answer.status, answer.json()) == (200, {"body": "é", "name": "a b"})
    assert answer.headers["x-request-id"].startswith("req_")


def test_repeated_headers_and_cookies_survive() -> None:
    answer = call(bare.handler, "GET", "/many-headers")
    assert answer.all_headers["vary"] == ["a", "b"]
    assert answer.all_headers["set-cookie"] == ["c=1; Path=/", "d=2"]


def test_bytes_survive() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/octet-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"\xff\x00"})

    assert call(Entry(app), "GET", "/").body == b"\xff\x00"


def test_every_call_runs_on_the_one_loop_whatever_else_has_run_since() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    handler = Entry(app)
    call(handler, "GET", "/")
    asyncio.run(asyncio.sleep(0))  # leaves the thread without a current loop
    call(handler, "GET", "/")
    assert loops == [kept_loop(), kept_loop()]


def test_an_app_that_fails_is_a_500() -> None:
    answer = call(bare.handler, "GET", "/fails")
    assert (answer.status, answer.text) == (500, "Internal Server Error")


def test_tells_requests_from_other_events() -> None:
    assert is_request(event("GET", "/"))
    assert not is_request({"Records": []})
    assert not is_request({"requestContext": {"connectionId": "a", "eventType": "CONNECT"}})
