"""The frame around every app: request ids, size limit, CORS, the gate, and one record per request."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from quintet.errors import Failure, Kind
from quintet.http.answers import refusal
from quintet.http.exchange import Exchange, Gate, Recorder, open_exchange
from quintet.store.clock import Clock

MAX_BODY = 1 << 20
MAX_PATH = 1024  # bytes: no name that we give is longer, and no longer one is a key that DynamoDB would look up
_LAST_WORDS = 1.5  # seconds that a Lambda keeps of its time to refuse and to write the record
_CORS_HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": (
        "X-Request-ID, Retry-After, X-Next-Cursor, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
    ),
}
_PREFLIGHT_HEADERS = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": (
        "Authorization, Content-Type, Last-Event-ID, X-API-Key, X-Request-ID, X-Ryuzen-Key, Xi-Api-Key"
    ),
    "access-control-max-age": "600",
}
_TOO_LARGE = f"The request body is larger than {MAX_BODY >> 20} MiB"

log = logging.getLogger("quintet.http")


class Edge:
    """An ASGI app around an ASGI app, with no task of its own: a framework's middleware costs more than a route."""

    def __init__(
        self,
        inner: Any,
        group: str,
        gate: Gate,
        recorder: Recorder,
        clock: Clock,
        template: Callable[[str], str] = lambda _path: "",
    ) -> None:
        """`template` names the route that a path leads to, for those who are turned away before they get there."""
        self.inner = inner
        self.group = group
        self.gate = gate
        self.recorder = recorder
        self.clock = clock
        self.template = template

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        exchange = open_exchange(scope, self.group, self.clock.now())
        answer = _Answer(exchange, scope, send, self.recorder)
        patience = asyncio.timeout(exchange.patience(_LAST_WORDS))
        try:
            if exchange.method == "OPTIONS" and _wants_cors(exchange.path):
                await answer.empty(204, _PREFLIGHT_HEADERS)
                return
            async with patience:
                await self.gate(exchange)
                await self.inner(scope, _bounded(exchange, receive), answer.send)
        except Failure as failure:
            if "route" not in scope:
                exchange.route = self.template(exchange.path)
            await answer.refuse(scope, receive, failure)
        except Exception as error:
            if isinstance(error, TimeoutError) and patience.expired():
                await answer.refuse(scope, receive, Failure(Kind.TIMEOUT, "The request took too long"))
                return
            # The record and the log tell what happened; the caller learns only that it did.
            log.exception("unhandled failure", extra={"request_id": exchange.request_id, "path": exchange.path})
            await answer.refuse(scope, receive, Failure(Kind.INTERNAL, "Internal server error"))
        finally:
            await answer.close()


class _Answer:
    """Adds the headers that every answer carries, and writes the record before the last byte leaves."""

    def __init__(self, exchange: Exchange, scope: Any, send: Any, recorder: Recorder) -> None:
        self._exchange = exchange
        self._scope = scope
        self._send = send
        self._recorder = recorder
        self._started = False
        self._recorded = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            self._exchange.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._own_headers()]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._record()
        await self._send(message)

    async def empty(self, status: int, headers: dict[str, str]) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": _encode(headers)})
        await self.send({"type": "http.response.body", "body": b""})

    async def refuse(self, scope: Any, receive: Any, failure: Failure) -> None:
        self._exchange.failure = failure
        if self._started:
            # Half an answer is out: cutting the connection is the only honest signal left.
            raise failure
        await refusal(self._exchange, failure)(scope, receive, self.send)

    async def close(self) -> None:
        """An answer that the caller did not wait for is recorded too."""
        if not self._recorded:
            self._exchange.facts.setdefault("cut_short", True)
            await self._record()

    async def _record(self) -> None:
        if self._recorded:
            return
        self._recorded = True
        self._exchange.route = self._exchange.route or _template(self._scope)
        try:
            await self._recorder(self._exchange)
        except Exception:
            # The caller's answer is right even so, and the money is safe: its reservation settles by lease.
            log.exception("request record lost", extra={"request_id": self._exchange.request_id})

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        headers = {"x-request-id": self._exchange.request_id, "x-content-type-options": "nosniff"}
        headers.update(self._exchange.answer_headers)
        if _wants_cors(self._exchange.path):
            headers.update(_CORS_HEADERS)
        return _encode(headers)


def _bounded(exchange: Exchange, receive: Any) -> Any:
    if len(exchange.path.encode(errors="replace")) > MAX_PATH:
        raise Failure(Kind.NOT_FOUND, "There is nothing at this path")
    declared = exchange.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise Failure(Kind.TOO_LARGE, _TOO_LARGE)
    seen = 0

    async def bounded() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise Failure(Kind.TOO_LARGE, _TOO_LARGE)
        return message

    return bounded


def _wants_cors(path: str) -> bool:
    return path.startswith("/api/")


def _template(scope: Any) -> str:
    route = scope.get("route")
    return getattr(route, "path", "") or "unmatched"


def _encode(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
