"""Server-sent events: frames, heartbeats while the source is silent, and an end that the client can see."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from quintet.errors import Failure, Kind
from quintet.http.exchange import Exchange, exchange_of

HEARTBEAT_SECONDS = 15.0
_LAST_WORDS = 3.0  # seconds that a Lambda keeps of its time to end the stream; more than the edge keeps
_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}

log = logging.getLogger("quintet.http")

Source = AsyncGenerator[bytes, None]


def frame(data: str, *, event: str | None = None, id: str | None = None, retry_ms: int | None = None) -> bytes:  # noqa: A002
    """One event. Line breaks in the data become several `data:` lines, as the format wants."""
    lines = []
    if id is not None:
        lines.append(f"id: {id}")
    if event is not None:
        lines.append(f"event: {event}")
    if retry_ms is not None:
        lines.append(f"retry: {retry_ms}")
    if "\r" in data:
        data = data.replace("\r\n", "\n").replace(
            "\r", "\n"
        )  # each of the three ends a line, and so could forge a field
    lines += [f"data: {line}" for line in data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode(errors="replace")


class EventStream(Response):
    """Sends frames as the source yields them, and closes the source when the client goes away.

    `on_error` renders what goes wrong after the first byte; the stream then ends.
    """

    media_type = "text/event-stream"

    def __init__(
        self, source: Source, *, on_error: Callable[[Failure], bytes], heartbeat: float = HEARTBEAT_SECONDS
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._source = source
        self._on_error = on_error
        self._heartbeat = heartbeat
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        exchange = exchange_of(scope)
        feed = asyncio.create_task(self._feed(exchange, send))
        beat = asyncio.create_task(self._beat(send))
        gone = asyncio.create_task(_disconnected(receive))
        patience = exchange.patience(_LAST_WORDS)
        try:
            over, _ = await asyncio.wait({feed, gone}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (feed, beat, gone):
                task.cancel()
            await asyncio.gather(feed, beat, gone, return_exceptions=True)
        if not feed.cancelled():
            feed.result()
        elif not over:
            await self._broken(exchange, send, Failure(Kind.TIMEOUT, "The answer took too long to finish"))
        if gone not in over:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _feed(self, exchange: Exchange, send: Send) -> None:
        async with aclosing(self._source) as source:
            try:
                async for body in source:
                    await self._out(send, body)
            except Failure as failure:
                await self._broken(exchange, send, failure)
            except Exception:
                log.exception("a stream failed midway")
                await self._broken(exchange, send, Failure(Kind.INTERNAL, "Internal server error"))

    async def _broken(self, exchange: Exchange, send: Send, failure: Failure) -> None:
        """The record says what the status would have been, had it been known in time."""
        exchange.failure, exchange.status = failure, exchange.dialect.status(failure)
        await self._out(send, self._on_error(failure))

    async def _beat(self, send: Send) -> None:
        self._last_sent = time.monotonic()
        while True:
            silence = time.monotonic() - self._last_sent
            if silence >= self._heartbeat:
                await self._out(send, b": keep-alive\n\n")
                silence = 0.0
            await asyncio.sleep(self._heartbeat - silence)

    async def _out(self, send: Send, body: bytes) -> None:
        self._last_sent = time.monotonic()
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
