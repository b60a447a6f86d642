"""A streamed answer on its way to Lambda: ASGI's messages in, one chunked POST to the Runtime API out."""

import asyncio
import json
import logging
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from quintet.http.runtime_api import ROOT, RuntimeApi, fault
from quintet.net import http1

_MAX_PRELUDE = 16 << 10  # API Gateway looks for the separator no further
_SEPARATOR = b"\0" * 8

log = logging.getLogger("quintet.runtime")


class Answer:
    """What the app calls `receive` and `send`. The body of a request arrives whole."""

    def __init__(self, api: RuntimeApi, request_id: str, body: bytes) -> None:
        self._api = api
        self._request_id = request_id
        self._body: bytes | None = body
        self._upload: _Upload | None = None
        self._over = asyncio.Event()  # the caller is gone, or has all of the answer

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """What is said to a caller who is gone is dropped: `receive` tells the app."""
        if message["type"] == "http.response.start":
            prelude = _prelude(message["status"], message.get("headers", ()))
            self._upload = await _Upload.open(self._api, self._request_id, self._over)
            self._upload.write(prelude)
            return
        if self._upload is None:
            raise RuntimeError("an answer begins with its status and headers")
        if message.get("body"):
            self._upload.write(message["body"])
            await self._upload.drained()
        if not message.get("more_body", False):
            await self._upload.finish()

    async def close(self, failure: Exception | None) -> None:
        """After the app: an answer that it did not end is told as what it is."""
        kind = type(failure).__name__ if failure else "Runtime.NoEndOfAnswer"
        if self._upload is None:
            self._api.fail(self._request_id, kind, "The function did not answer: its log says why")
        else:
            await self._upload.finish(kind)


class _Upload(asyncio.Protocol):
    """On a connection of its own, as the Runtime API wants it."""

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over
        self._reader = http1.Reader("POST")
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, api: RuntimeApi, request_id: str, over: asyncio.Event) -> "_Upload":
        _, upload = await asyncio.get_running_loop().create_connection(lambda: cls(over), sock=api.connect())
        upload._begin(  # noqa: SLF001 - its own
            f"POST {ROOT}/invocation/{request_id}/response HTTP/1.1\r\n"
            f"host: {api.address}\r\n"
            "content-type: application/vnd.awslambda.http-integration-response\r\n"
            "lambda-runtime-function-response-mode: streaming\r\n"
            "transfer-encoding: chunked\r\n"
            "trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n"
        )
        return upload

    def _begin(self, head: str) -> None:
        self._transport.write(head.encode())

    def write(self, data: bytes) -> None:
        if not self._over.is_set():
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def drained(self) -> None:
        await self._flowing.wait()

    async def finish(self, kind: str = "") -> None:
        """Returns when Lambda has taken it all. `kind` names what kept the answer from being whole."""
        if not self._over.is_set():
            trailer = ""
            if kind:
                told = b64encode(fault(kind, "The answer is not complete: the function's log says why")).decode()
                trailer = f"Lambda-Runtime-Function-Error-Type: {kind}\r\n"
                trailer += f"Lambda-Runtime-Function-Error-Body: {told}\r\n"
            self._transport.write(f"0\r\n{trailer}\r\n".encode())
            await self._over.wait()
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def pause_writing(self) -> None:
        self._flowing.clear()

    def resume_writing(self) -> None:
        self._flowing.set()

    def data_received(self, data: bytes) -> None:
        """Lambda answers once it has all; an answer before that, or none at all, means that nobody reads any more."""
        self._reader.feed(data)
        if self._reader.done:
            if self._reader.status >= 300:
                log.error("Lambda refused the answer", extra={"status": self._reader.status})
            self._end()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        self._over.set()
        self._flowing.set()


def _prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Status and headers as API Gateway wants them: a repeated header as a list, cookies apart."""
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name in several:
            several[name].append(value)
        elif name in single:
            several[name] = [single.pop(name), value]
        else:
            single[name] = value
    prelude = {"statusCode": status, "headers": single, "multiValueHeaders": several, "cookies": cookies}
    text = json.dumps({name: value for name, value in prelude.items() if value}).encode()
    if len(text) > _MAX_PRELUDE:
        raise ValueError("the headers of the answer are larger than API Gateway reads")
    return text + _SEPARATOR
