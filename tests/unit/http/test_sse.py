"""Server-sent events: frames as browsers read them, heartbeats in silence, and an end for every stream."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.errors import Failure, Kind
from quintet.http import edge, sse
from quintet.http.edge import Edge
from quintet.http.exchange import Exchange
from quintet.http.sse import EventStream, Source, frame
from quintet.store.clock import SystemClock
from tests.asgi import ask, asked
from tests.loops import on_a_loop


def test_writes_a_frame() -> None:
    assert frame("hello") == b"data: hello\n\n"
    assert frame("é\nb", event="token", id="7", retry_ms=500) == (
        "id: 7\nevent: token\nretry: 500\ndata: é\ndata: b\n\n".encode()
    )
    assert frame("") == b"data: \n\n"


def parse(stream: str) -> list[tuple[str, str]]:
    """The fields of a stream, by the rules of the HTML standard."""
    lines = stream.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(name, value.removeprefix(" ")) for name, _, value in (line.partition(":") for line in lines if line)]


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert frame("a\ud800b") == b"data: a?b\n\n"


@given(st.text(st.one_of(st.sampled_from("\r\n:a "), st.characters(codec="utf-8")), max_size=30))
def test_data_can_neither_be_lost_nor_forge_a_field(text: str) -> None:
    fields = parse(frame(text).decode())
    assert {name for name, _ in fields} == {"data"}
    assert "\n".join(value for _, value in fields) == text.replace("\r\n", "\n").replace("\r", "\n")


def app(source: Callable[[], Source], heartbeat: float = 15.0) -> Edge:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        response = EventStream(source(), on_error=on_error, heartbeat=heartbeat)
        await response(scope, receive, send)

    async def gate(exchange: Exchange) -> None: ...

    async def record(exchange: Exchange) -> None: ...

    return Edge(answer, "ask", gate, record, SystemClock())


def on_error(failure: Failure) -> bytes:
    return frame(f"{failure.kind}: {failure.message}", event="error")


@on_a_loop
async def test_sends_each_frame_when_it_is_there() -> None:
    wanted: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def source() -> Source:
        while (text := await wanted.get()) is not None:
            yield text

    async with asked(app(source), "GET", "/api/v1/stream") as exchange:
        for count, text in enumerate((b"one", b"two"), start=2):
            wanted.put_nowait(text)
            await exchange.said(count)
            assert exchange.messages[-1]["body"] == text
        wanted.put_nowait(None)
    assert exchange.whole
    assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert exchange.headers["cache-control"] == "no-cache, no-transform"
    assert "content-length" not in exchange.headers


@on_a_loop
async def test_a_silent_source_is_kept_alive() -> None:
    async def source() -> Source:
        await exchange.said(4)
        yield frame("done")

    async with asked(app(source, heartbeat=0.01), "GET", "/api/v1/stream") as exchange:
        pass
    assert exchange.body.startswith(b": keep-alive\n\n: keep-alive\n\n")
    assert exchange.body.endswith(b"data: done\n\n")
    assert exchange.whole


@on_a_loop
async def test_a_talking_source_is_not_interrupted() -> None:
    async def source() -> Source:
        for _ in range(20):
            yield frame("word")
            await asyncio.sleep(0.005)

    answer = await ask(app(source, heartbeat=10), "GET", "/api/v1/stream")
    assert b"keep-alive" not in answer.body


@on_a_loop
async def test_closes_the_source_when_the_client_goes_away() -> None:
    closed = asyncio.Event()

    async def source() -> Source:
        try:
            yield frame("one")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # closing may take a while
            closed.set()

    async with asked(app(source), "GET", "/api/v1/stream") as exchange:
        await exchange.said(2)
        exchange.disconnect()
    assert closed.is_set()
    assert not exchange.whole


@on_a_loop
async def test_closes_the_source_when_the_request_is_cancelled() -> None:
    closed = asyncio.Event()

    async def source() -> Source:
        try:
            yield frame("one")
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def leave() -> None:
        async with asked(app(source), "GET", "/api/v1/stream") as exchange:
            await exchange.said(2)
            raise LookupError

    with pytest.raises(LookupError):
        await leave()
    await closed.wait()


@pytest.mark.parametrize(
    ("error", "told", "status"),
    [
        (Failure(Kind.UPSTREAM, "the vendor failed"), b"upstream: the vendor failed", 502),
        (LookupError("s3cret"), b"internal: Internal server error", 500),
    ],
)
@on_a_loop
async def test_a_failure_after_the_first_byte_is_an_event_and_recorded_as_a_failure(
    error: Exception, told: bytes, status: int
) -> None:
    async def source() -> Source:
        yield frame("one")
        raise error

    recorded: list[Exchange] = []

    async def record(exchange: Exchange) -> None:
        recorded.append(exchange)

    edge = app(source)
    edge.recorder = record
    answer = await ask(edge, "GET", "/api/v1/stream")
    assert answer.body == b"data: one\n\nevent: error\ndata: " + told + b"\n\n"
    assert answer.whole
    assert answer.status == 200
    assert [each.status for each in recorded] == [status]
    assert recorded[0].failure is not None


class LambdaContext:
    """Time enough when the edge looks at it, and hardly any when the stream does."""

    def __init__(self) -> None:
        self._left = iter((60_000, 100))

    def get_remaining_time_in_millis(self) -> int:
        return next(self._left)


@on_a_loop
async def test_a_stream_ends_before_its_lambda_does() -> None:
    closed = asyncio.Event()

    async def source() -> Source:
        try:
            yield frame("one")
            await asyncio.Event().wait()
        finally:
            closed.set()

    answer = await ask(app(source), "GET", "/api/v1/stream", **{"aws.context": LambdaContext()})
    assert answer.body == b"data: one\n\nevent: error\ndata: timeout: The answer took too long to finish\n\n"
    assert answer.whole
    assert closed.is_set()


def test_a_stream_ends_before_the_edge_would_cut_it() -> None:
    assert sse._LAST_WORDS >= edge._LAST_WORDS + 1
