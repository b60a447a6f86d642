"""What stands around the measured gateway, as fast as Python can: a vendor, and a store that repeats itself.

The store's answers were recorded from the emulator (`Recorder`): an exact repetition gets its own, anything else what
the same table last said to the same kind of request. Only the leases on shared budgets, which are few, go on to the
emulator: no two are alike.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httptools

LEASED = b'-budgets"'  # the table of what many share
PIECES = 20
PACE_SECONDS = 0.005  # between two pieces under /paced
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def whole(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


USAGE = {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}
ANSWER = whole(
    compact(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": "gpt-4o-mini",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Hello! " * PIECES, "refusal": None},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": USAGE,
        }
    )
)


def _chunk(choices: list[Any], **more: Any) -> bytes:
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": "gpt-4o-mini"}
    data = b"data: " + compact({**told, "choices": choices, **more}) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def _piece(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "finish_reason": finish}])


STREAM = [
    _piece({"role": "assistant", "content": ""}),
    *(_piece({"content": "Hello! "}) for _ in range(PIECES)),
    _piece({}, "stop"),
    _chunk([], usage=USAGE),
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
]


class Peer(asyncio.Protocol):
    def __init__(self, answer: Callable[[str, dict[str, str], bytes, asyncio.Transport], None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""
        self._headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._answer(self._url.decode(), self._headers, self._body, self._transport)


def vendor(url: str, _headers: dict[str, str], body: bytes, transport: asyncio.Transport) -> None:
    if b'"stream":true' not in body.replace(b" ", b""):
        transport.write(ANSWER)
    elif url.startswith("/paced"):
        pace(transport, [_HEAD + STREAM[0] + STREAM[1], *STREAM[2:]])
    else:
        transport.write(_HEAD + b"".join(STREAM))


def pace(transport: asyncio.Transport, pieces: list[bytes]) -> None:
    if pieces and not transport.is_closing():
        transport.write(pieces[0])
        asyncio.get_running_loop().call_later(PACE_SECONDS, pace, transport, pieces[1:])


def places(target: str, body: bytes) -> list[str]:
    """Where an answer is looked for, the closest first."""
    asked = json.loads(body or b"{}")
    table = asked.get("TableName") or asked.get("SecretId") or ""
    near = json.dumps([target, table, asked.get("Key"), asked.get("KeyConditionExpression")])
    return [f"{target} {body.decode()}", near, json.dumps([target, table])]


class Store:
    def __init__(self, told: dict[str, str], emulator: str) -> None:
        self._told = told
        self._emulator = emulator

    def __call__(self, _url: str, headers: dict[str, str], body: bytes, transport: asyncio.Transport) -> None:
        target = headers.get("x-amz-target", "")
        if LEASED in body:
            passing = asyncio.get_running_loop().run_in_executor(None, passed_on, self._emulator, headers, body)
            passing.add_done_callback(lambda done: transport.write(whole(done.result()[1], status=done.result()[0])))
            return
        found = next((self._told[place] for place in places(target, body) if place in self._told), "{}")
        transport.write(whole(found.encode()))


def passed_on(endpoint: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    kept = {name: value for name, value in headers.items() if name.lower() not in ("content-length", "connection")}
    try:
        with urlopen(Request(endpoint, body, kept), timeout=20) as answer:
            return 200, answer.read()
    except HTTPError as refused:
        return refused.code, refused.read()


class Recorder:
    """Stands before the emulator and keeps what it says."""

    def __init__(self, endpoint: str) -> None:
        self.told: dict[str, str] = {}
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, told = passed_on(endpoint, dict(self.headers.items()), body)
                for place in places(self.headers.get("x-amz-target", ""), body) if status == 200 else ():
                    recorder.told[place] = told.decode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


async def serve(told: dict[str, str], emulator: str) -> None:
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(partial(Peer, each), "127.0.0.1", 0) for each in (vendor, Store(told, emulator))
    ]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--told", type=Path, help="the store's answers, recorded")
    options.add_argument("--emulator", default="", help="where it was recorded")
    given = options.parse_args()
    asyncio.run(serve(json.loads(given.told.read_text()) if given.told else {}, given.emulator))
