"""A function's way in from API Gateway: buffered when AWS's runtime calls it, streamed when ours does."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers import APIGateway
from mangum.types import ASGI, Headers, LambdaConfig, Message, Scope

from quintet.copies import forget_in_copies
from quintet.net.client import in_a_loop

Event = dict[str, Any]
_MANGUM = LambdaConfig(api_gateway_base_path="/", text_mime_types=DEFAULT_TEXT_MIME_TYPES, exclude_headers=[])

log = logging.getLogger("quintet.http")


class _Loop:
    """Closed when its thread ends and nobody else holds it; connections that it kept are hung up before."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __del__(self, _ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if _ending():
            return  # with the process everything goes
        if not in_a_loop():
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(asyncio.sleep(0))  # a transport closes its socket in the loop's next turn
        self.loop.close()


_kept = threading.local()
forget_in_copies(lambda: _kept.__dict__.clear())  # after its connections, which `net.client` hangs up


def kept_loop() -> asyncio.AbstractEventLoop:
    """One loop for all invocations of a thread, and Lambda has but one: connections that outlive one belong to it."""
    own: _Loop | None = getattr(_kept, "own", None)
    if own is None:
        own = _kept.own = _Loop()
    return own.loop


class Entry:
    """What a function's `handler` is: `app` for our runtime, the call for AWS's."""

    def __init__(self, app: ASGI) -> None:
        self.app = app

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        request = APIGateway(event, context, _MANGUM)
        answer = _Buffered(request.body)
        kept_loop().run_until_complete(answer.made_by(self.app, request.scope))
        return request({"status": answer.status, "headers": answer.headers, "body": b"".join(answer.pieces)})


class _Buffered:
    """An answer that leaves when all of it is there. The body of a request arrives whole."""

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: Headers = []
        self.pieces: list[bytes] = []
        self._body: bytes | None = body
        self._over = asyncio.Event()

    async def made_by(self, app: ASGI, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            log.exception("the app failed")
        if not self._over.is_set():
            self.status, self.headers = 500, [[b"content-type", b"text/plain; charset=utf-8"]]
            self.pieces = [b"Internal Server Error"]

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message.get("headers", [])
            return
        self.pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            self._over.set()


def is_request(event: Event) -> bool:
    """Whether API Gateway sent it from a REST API."""
    return isinstance(event, dict) and "httpMethod" in event and "requestContext" in event


def request_of(event: Event, context: Any) -> tuple[Scope, bytes]:
    """The same ASGI scope and body as the buffered way has."""
    request = APIGateway(event, context, _MANGUM)
    return request.scope, request.body
