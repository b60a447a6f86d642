"""A model vendor on loopback that speaks OpenAI, Anthropic and Bedrock, and misbehaves on command.

    with upstream() as vendor:
        vendor.next(Behaviour("rate_limited", retry_after="3"))   # the next call; after it all is well again
        vendor.always["gpt-slow"] = Behaviour("slow", seconds=2)  # whenever this model is asked
        ...  # http://127.0.0.1:PORT/v1 is vendor.openai, vendor.anthropic and vendor.bedrock are the others' base URLs
        vendor.asked[-1].body["messages"]

Other processes command it over HTTP: `POST /_next` and `POST /_always/{model}` take a Behaviour as JSON, `GET /_asked`
answers the journal. `python -m tests.fakes.upstream --port 9100` serves it alone.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote

from tests.fakes.wires import Anthropic, Bedrock, OpenAi, Told, Wire, compact
from tests.servers import accepting

REFUSALS = frozenset({"rate_limited", "quota", "server", "overloaded", "unauthorized", "context", "refused"})
KINDS = REFUSALS | {
    "answer",
    "timeout",  # never answers
    "slow",  # the whole answer comes after `seconds`
    "slow_first_token",  # the head at once, the first piece after `seconds`
    "slow_tokens",  # each piece `seconds` after the one before
    "held",  # the answer, or each piece of a stream, when it is let go: `vendor.held()`
    "half",  # half the body or the stream, then it hangs up
    "malformed_json",
    "malformed_sse",  # or a damaged event stream frame
    "no_usage",
    "usage_on_last_content",  # a stream's usage beside its finish reason, as some servers do
    "comments",  # lines that are no events in between
    "no_done",  # a stream that just ends
    "error_event",  # in the middle of a stream
    "wrong_type",  # a page where an answer was expected
    "huge",  # a body that does not end
    "unstreamed",  # one piece though a stream was asked for
    "shredded",  # all is well, but a byte at a time
    "silent_end",  # a stream that ends in good order before its finish reason
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    kind: str = "answer"
    told: Told = field(default_factory=Told)
    seconds: float = 0.3
    retry_after: str | None = None  # as the header has it
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None  # of a refusal, if another than usual
    body: Any = None  # of a refusal, if another than usual

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Behaviour":
        told = dict(given.get("told") or {})
        told["tool_calls"] = tuple(tuple(each) for each in told.get("tool_calls", ()))
        known = {each.name for each in fields(cls)} - {"told"}
        return cls(**{name: value for name, value in given.items() if name in known}, told=Told(**told))


@dataclass
class Asked:
    """`hung_up` is set when the client goes away before the answer was complete."""

    path: str
    headers: dict[str, str]
    body: Any
    connection: int
    hung_up: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)


class Upstream:
    def __init__(self, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.asking = threading.Event()  # somebody has asked
        self.always: dict[str, Behaviour] = {}
        self.usual = Behaviour()
        self.port = port
        self._next: deque[Behaviour] = deque()
        self._connections = 0
        self._loop: asyncio.AbstractEventLoop
        self._let_go = asyncio.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai(self) -> str:
        return self.url + "/v1"

    anthropic = url
    bedrock = url

    def next(self, *behaviours: Behaviour | str) -> None:
        """How the next calls go, in this order."""
        self._next.extend(Behaviour(each) if isinstance(each, str) else each for each in behaviours)

    def held(self, **how: Any) -> Behaviour:
        """Nothing of it comes before it is let go."""
        self._let_go = asyncio.Semaphore(0)
        return Behaviour("held", **how)

    def let_go(self, pieces: int) -> None:
        for _ in range(pieces):
            self._loop.call_soon_threadsafe(self._let_go.release)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        async with accepting(self._connected, port=self.port) as self.port:
            yield

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            ahead: bytes | None = b""
            while ahead is not None:
                ahead = await self._serve(ahead, reader, writer, number)

    async def _serve(
        self, ahead: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bytes | None:
        """One request. What was read ahead of the next one, or None when the connection is over."""
        head = (ahead + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        path = unquote(path)
        if path.startswith("/_"):
            writer.write(_whole(200, self._commanded(method, path, raw)))
            await writer.drain()
            return b""
        asked = Asked(path, headers, json.loads(raw or b"null"), number)
        self.asked.append(asked)
        self.asking.set()
        answering = asyncio.create_task(self._answer(asked, writer))
        leaving = asyncio.create_task(reader.read(1))
        try:
            done, _ = await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering not in done:
                asked.hung_up.set()
                return None
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        ahead = b"" if leaving.cancelled() else leaving.result()
        asked.answered.set()
        return ahead if answering.result() else None

    def _commanded(self, method: str, path: str, raw: bytes) -> bytes:
        if method == "GET":
            return compact([{"path": each.path, "headers": each.headers, "body": each.body} for each in self.asked])
        given = Behaviour.read(json.loads(raw))
        if path.startswith("/_always/"):
            self.always[path.removeprefix("/_always/")] = given
        else:
            self.next(given)
        return b"{}"

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        wire, model, streaming = _recognised(asked)
        if wire is None:
            writer.write(_whole(404, b'{"error":{"message":"no such path","type":"invalid_request_error"}}'))
            return True
        how = self._next.popleft() if self._next else self.always.get(model, self.usual)
        if how.kind == "timeout":
            await asyncio.Event().wait()
        if how.kind == "slow":
            await asyncio.sleep(how.seconds)
        if how.kind == "held" and not streaming:
            await self._let_go.acquire()
        if how.kind in REFUSALS:
            refusal = wire.refusal(how.kind)
            headers = {
                **refusal.headers,
                **({"retry-after": how.retry_after} if how.retry_after else {}),
                **how.headers,
            }
            writer.write(_whole(how.status or refusal.status, compact(how.body or refusal.body), headers))
            await writer.drain()
            return True
        if how.kind == "wrong_type":
            writer.write(_whole(200, b"<html><body>Welcome to nginx</body></html>", {}, "text/html"))
            return True
        if how.kind == "huge":
            return await _huge(writer, wire.stream_type if streaming else "application/json")
        if streaming and how.kind != "unstreamed":
            return await self._stream(wire, model, asked, how, writer)
        return await _body(compact(wire.body(how.told, model, usage=how.kind != "no_usage")), how, writer)

    async def _stream(self, wire: Wire, model: str, asked: Asked, how: Behaviour, writer: asyncio.StreamWriter) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: "
            + wire.stream_type.encode()
            + b"\r\ntransfer-encoding: chunked\r\n"
            + b"".join(f"{name}: {value}\r\n".encode() for name, value in how.headers.items())
            + b"\r\n"
        )
        async for piece in self._paced(_frames(wire, model, asked, how), how):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if how.kind == "half":
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _paced(self, frames: list[bytes], how: Behaviour) -> AsyncIterator[bytes]:
        for index, frame in enumerate(frames):
            if how.kind == "slow_tokens" or (how.kind == "slow_first_token" and index == 0):
                await asyncio.sleep(how.seconds)
            if how.kind == "held":
                await self._let_go.acquire()
            yield frame


def _recognised(asked: Asked) -> tuple[Wire | None, str, bool]:
    """Which protocol, which model, and whether the answer is to be streamed."""
    if asked.path.endswith("/chat/completions"):
        return OpenAi(), str(asked.body.get("model")), bool(asked.body.get("stream"))
    if asked.path.endswith("/messages"):
        return Anthropic(), str(asked.body.get("model")), bool(asked.body.get("stream"))
    if asked.path.startswith("/model/") and "/converse" in asked.path:
        model, _, verb = asked.path.removeprefix("/model/").rpartition("/")
        return Bedrock(), model, verb == "converse-stream"
    return None, "", False


def _frames(wire: Wire, model: str, asked: Asked, how: Behaviour) -> list[bytes]:
    usage = {"no_usage": "none", "usage_on_last_content": "last content"}.get(how.kind, "own")
    frames = wire.events(how.told, model, asked.body, usage=usage)
    middle = len(frames) // 2
    sse = wire.stream_type.startswith("text/event-stream")
    if how.kind in ("half", "silent_end"):
        return [*frames[:middle], *([frames[middle][: len(frames[middle]) // 2]] if how.kind == "half" else [])]
    if how.kind == "error_event":
        return [*frames[:middle], wire.error_event()]
    if how.kind in ("malformed_sse", "malformed_json"):
        damaged = b'data: {"choices": [{\n\n' if sse else frames[middle][:-1] + bytes([frames[middle][-1] ^ 1])
        return [*frames[:middle], damaged, *frames[middle:]]
    if how.kind == "comments" and sse:
        return [piece for frame in frames for piece in (b": PROCESSING\r\n\r\n", frame)]
    if how.kind == "no_done":
        return [frame for frame in frames if b"[DONE]" not in frame]
    if how.kind == "shredded":
        return [bytes([each]) for each in b"".join(frames)]
    return frames


async def _body(body: bytes, how: Behaviour, writer: asyncio.StreamWriter) -> bool:
    if how.kind == "malformed_json":
        body = body[: len(body) // 2]
    if how.kind == "half":
        writer.write(_whole(200, body, how.headers)[: -len(body) // 2])
        await writer.drain()
        return False
    writer.write(_whole(200, body, how.headers))
    await writer.drain()
    return True


async def _huge(writer: asyncio.StreamWriter, type_: str) -> bool:
    """Up to a gigabyte of nothing; whoever has sense hangs up before."""
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {type_}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    piece = b"data: " + b"x" * 65_530
    for _ in range(16_384):
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    return False


def _whole(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, type_: str = "application/json"
) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"content-type: {type_}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@contextmanager
def upstream() -> Iterator[Upstream]:
    """In a thread of its own, so that blocking tests and other processes can be served too."""
    vendor = Upstream()
    up, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with vendor.serving():
            up.set()
            await over.wait()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    up.wait()
    try:
        yield vendor
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


async def _alone(port: int) -> None:
    vendor = Upstream(port)
    async with vendor.serving():
        sys.stdout.write(f"a vendor listens on {vendor.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=9100)
    with suppress(KeyboardInterrupt):
        asyncio.run(_alone(options.parse_args().port))
