"""The front over a real socket: streams as they are made, hang-ups noticed, requests as Lambda would show them."""

from quintet.http.app import create_app

import asyncio
import http.client
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, closing, contextmanager
from queue import Queue
from typing import Any

import requests
from fastapi import APIRouter

from quintet.http.exchange import Exchange
from quintet.http.sse import EventStream, frame
from tests.integration.local.serving import PATIENCE, serving


class Feed:
    """An app whose streams carry one event for every `send`, and tell when they were hung up on."""

    def __init__(self) -> None:
        self.started: Queue[int] = Queue()
        self.closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: list[asyncio.Queue[str | None]] = []
        router = APIRouter()
        router.get("/stream")(self._stream)
        self.app = create_app("test", [router], gate=_nothing, recorder=_nothing)

    async def _stream(self) -> EventStream:
        self._loop = asyncio.get_running_loop()
        self._queues.append(asyncio.Queue())
        return EventStream(self._source(len(self._queues) - 1), on_error=lambda failure: frame(failure.message))

    async def _source(self, stream: int) -> AsyncGenerator[bytes, None]:
        self.started.put(stream)
        try:
            while (word := await self._queues[stream].get()) is not None:
                yield frame(word)
        finally:
            self.closed.set()

    def send(self, stream: int, word: str | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._queues[stream].put_nowait, word)


async def _nothing(_exchange: Exchange) -> None:
    pass


@contextmanager
def getting(address: str) -> Iterator[http.client.HTTPResponse]:
    """Leaving it hangs up."""
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as connection:
        connection.request("GET", "/stream")
        with connection.getresponse() as answer:
            yield answer


def test_every_event_arrives_before_the_next_one_is_made() -> None:
    feed = Feed()
    with serving(feed.app) as address, getting(address) as answer:
        stream = feed.started.get(timeout=PATIENCE)
        for word in ("one", "two", "three"):
            feed.send(stream, word)
            assert answer.readline() + answer.readline() == frame(word)
        feed.send(stream, None)
        assert answer.read() == b""


def test_hanging_up_ends_the_source() -> None:
    feed = Feed()
    with serving(feed.app) as address:
        with getting(address) as answer:
            feed.send(feed.started.get(timeout=PATIENCE), "one")
            answer.readline()
        assert feed.closed.wait(PATIENCE)


def test_a_hundred_streams_do_not_disturb_each_other() -> None:
    feed = Feed()
    with serving(feed.app) as address, ExitStack() as streams:
        answers = {}
        for _ in range(100):
            answer = streams.enter_context(getting(address))
            answers[feed.started.get(timeout=PATIENCE)] = answer
        for stream in reversed(answers):  # the one that came last is served first
            feed.send(stream, f"for {stream}")
        for stream, answer in answers.items():
            assert answer.readline() + answer.readline() == frame(f"for {stream}")
        for stream in answers:
            feed.send(stream, None)


def test_the_app_sees_what_lambda_would_show_it() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with serving(app) as address, closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as connection:
        connection.putrequest("GET", "/a%20b?x=1")
        connection.putheader("X-Twice", "1")
        connection.putheader("X-Twice", "2")
        connection.endheaders()
        assert connection.getresponse().status == 204
    assert (seen["path"], seen["query_string"], seen["client"][0]) == ("/a b", b"x=1", "127.0.0.1")
    assert dict(seen["headers"])[b"x-twice"] == b"1, 2"


def test_a_path_that_the_template_does_not_have_gets_api_gateways_answer() -> None:
    with serving() as address:
        answer = requests.get(f"http://{address}/nowhere", timeout=PATIENCE)
    assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})
