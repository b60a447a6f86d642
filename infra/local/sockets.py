"""WebSockets as API Gateway would serve them: events for the sockets function, and `@connections` to answer through."""

import asyncio
import base64
import inspect
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

from quintet.store.clock import iso, millis

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[dict[str, Any], Any], Any]
Work = Callable[[dict[str, Any]], Awaitable[Any]]

# On our own host the path says the protocol; behind API Gateway, which has no paths here, `?protocol=` does.
PROTOCOLS: Mapping[str, str] = {
    "/ws/stream": "toron",
    "/stream": "cyborgmind",
    "/ws/elevenlabs": "elevenlabs",
    "/v1/convai/conversation": "elevenlabs",  # where ElevenLabs' packages go by themselves
    "/ws": "kyros",
}
MAX_MESSAGE = 128 << 10  # API Gateway's
LONGEST = timedelta(hours=2)  # API Gateway hangs up after it
ANSWER_SECONDS = 29.0  # how long API Gateway waits for the function before it takes the next message
CONNECTIONS = "@connections"
_THREADS = 64
_WAITING = 32  # messages of one connection that wait for their turn; more wait in the client
_ABNORMAL = 1006
_GOING_AWAY = 1001

log = logging.getLogger("quintet.local")


class Context:
    """What a handler may ask of Lambda about its invocation."""

    memory_limit_in_mb = 512
    function_version = "$LATEST"

    def __init__(self, name: str, seconds: float) -> None:
        self.function_name = name
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
        self.aws_request_id = secrets.token_hex(16)
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._until - time.monotonic()) * 1000))


@dataclass(slots=True)
class Connection:
    scope: Scope
    send: Send
    stage: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(11) + "=")
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    active: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.scope["headers"]]

    @property
    def host(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "host"), "localhost")

    @property
    def identity(self) -> dict[str, str]:
        agent = next((value for name, value in self.headers if name.lower() == "user-agent"), "")
        return {"sourceIp": (self.scope.get("client") or ("",))[0], "userAgent": agent}

    def event(self, route: str, kind: str, **more: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "requestContext": {
                "routeKey": route,
                "eventType": kind,
                "connectionId": self.id,
                "connectedAt": millis(self.opened),
                "messageDirection": "IN",
                "requestId": secrets.token_hex(8),
                "extendedRequestId": secrets.token_hex(8),
                "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": millis(now),
                "domainName": self.host,
                "apiId": "local",
                "stage": self.stage,
                "identity": self.identity,
                **more.pop("context", {}),
            },
            "isBase64Encoded": False,
            **more,
        }

    def connect_event(self) -> dict[str, Any]:
        query = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query["protocol"] = [PROTOCOLS[self.scope["path"]]]
        headers = _grouped(self.headers)
        return self.event(
            "$connect",
            "CONNECT",
            headers={name: values[-1] for name, values in headers.items()},
            multiValueHeaders=headers,
            queryStringParameters={name: values[-1] for name, values in query.items()},
            multiValueQueryStringParameters=query,
        )

    def message_event(self, message: Message) -> dict[str, Any]:
        text, data = message.get("text"), message.get("bytes")
        body = text if text is not None else base64.b64encode(data or b"").decode()
        event = self.event("$default", "MESSAGE", body=body, context={"messageId": secrets.token_hex(8)})
        event["isBase64Encoded"] = text is None
        return event

    def disconnect_event(self, code: int, reason: str) -> dict[str, Any]:
        context = {"disconnectStatusCode": code, "disconnectReason": reason}
        return self.event("$disconnect", "DISCONNECT", context=context, headers={"Host": self.host})


class Sockets:
    """Open connections by id. One connection's messages are handled one after another.

    A handler that `consume` made of a coroutine function runs on our own loop, as the HTTP apps do; others in threads.
    """

    def __init__(
        self,
        handler: Handler,
        name: str,
        *,
        stage: str = "local",
        timeout: float = ANSWER_SECONDS,
        longest: timedelta = LONGEST,
    ) -> None:
        self._handler = handler
        work = inspect.unwrap(handler)
        self._work: Work | None = work if inspect.iscoroutinefunction(work) else None
        self._longest = longest.total_seconds()
        self._name = name
        self._stage = stage
        self._timeout = timeout
        self._open: dict[str, Connection] = {}
        self._calls: set[asyncio.Future[Any]] = set()  # the loop itself holds them only weakly
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sockets")

    # The client's side

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if scope["path"] not in PROTOCOLS:
            await _refuse(send, HTTPStatus.NOT_FOUND, {"message": "Not Found"})
            return
        connection = Connection(scope, send, self._stage)
        event = connection.connect_event()
        answer = await self._call(event)
        status = answer.get("statusCode", 500) if isinstance(answer, Mapping) else 500
        if not 200 <= status < 300:
            told = {"connectionId": connection.id, "requestId": event["requestContext"]["requestId"]}
            await _refuse(send, status, {"message": _phrase(status), **told})
            return
        self._open[connection.id] = connection
        code, reason = _ABNORMAL, ""
        try:
            await send({"type": "websocket.accept", "subprotocol": _subprotocol(answer)})
            code, reason = await self._converse(connection, receive)
        except OSError:
            pass  # the client left before it was let in
        finally:
            self._open.pop(connection.id, None)
            # Shielded: also when the server is stopping, the function hears that the connection is gone.
            await asyncio.shield(self._call(connection.disconnect_event(code, reason)))

    async def _converse(self, connection: Connection, receive: Receive) -> tuple[int, str]:
        """Until the client leaves; what it said before that is still handled."""
        waiting: asyncio.Queue[Message | None] = asyncio.Queue(_WAITING)
        handling = asyncio.create_task(self._handle(connection, waiting))
        try:
            async with asyncio.timeout(self._longest):
                while (message := await receive())["type"] != "websocket.disconnect":
                    connection.active = datetime.now(UTC)
                    await waiting.put(message)
            self._open.pop(connection.id, None)
            await waiting.put(None)
            await handling
        except TimeoutError:
            with suppress(OSError):
                await connection.send({"type": "websocket.close", "code": _GOING_AWAY})
            return _GOING_AWAY, "Going away"
        finally:
            handling.cancel()
        return message.get("code") or _ABNORMAL, message.get("reason") or ""

    async def _handle(self, connection: Connection, waiting: asyncio.Queue[Message | None]) -> None:
        while (message := await waiting.get()) is not None:
            event = connection.message_event(message)
            call = asyncio.ensure_future(self._call(event))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            done, _ = await asyncio.wait({call}, timeout=self._timeout)
            failed = call.result() is None if done else True
            if failed and connection.id in self._open:
                told = {
                    "message": "Internal server error" if done else "Endpoint request timed out",
                    "connectionId": connection.id,
                    "requestId": event["requestContext"]["requestId"],
                }
                with suppress(OSError):
                    await connection.send({"type": "websocket.send", "text": json.dumps(told)})

    async def _call(self, event: dict[str, Any]) -> Any:
        """What the handler returned; None when it raised."""
        try:
            if self._work is not None:
                answer = await self._work(event)
            else:
                context = Context(self._name, self._timeout)
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._threads, self._handler, event, context)
        except Exception:
            log.exception("the sockets function failed on %s", event["requestContext"]["routeKey"])
            return None
        return {} if answer is None else answer

    # The functions' side

    async def manage(self, method: str, path: str, receive: Receive, send: Send) -> None:
        """`path` is what follows the API's URL: `/@connections/{id}`."""
        connection = self._open.get(unquote(path.rpartition("/")[2]))
        if connection is None:
            await _answer(send, HTTPStatus.GONE, {"message": "Gone"}, error="GoneException")
        elif method == "GET":
            known = {"connectedAt": iso(connection.opened), "lastActiveAt": iso(connection.active)}
            await _answer(send, HTTPStatus.OK, {**known, "identity": connection.identity})
        elif method == "DELETE":
            self._open.pop(connection.id, None)
            with suppress(OSError):
                await connection.send({"type": "websocket.close", "code": 1000})
            await _answer(send, HTTPStatus.NO_CONTENT, None)
        elif method == "POST":
            await self._post(connection, receive, send)
        else:
            await _answer(send, HTTPStatus.FORBIDDEN, {"message": "Forbidden"}, error="ForbiddenException")

    async def _post(self, connection: Connection, receive: Receive, send: Send) -> None:
        body = bytearray()
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > MAX_MESSAGE:
                error = "PayloadTooLargeException"
                await _answer(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"message": "Too large"}, error=error)
                return
            if not message.get("more_body", False):
                break
        try:
            await connection.send({"type": "websocket.send", **_payload(bytes(body))})
        except OSError:
            await _answer(send, HTTPStatus.GONE, {"message": "Gone"}, error="GoneException")
        else:
            await _answer(send, HTTPStatus.OK, None)


def _payload(body: bytes) -> dict[str, Any]:
    """API Gateway sends text; what is not text can only be bytes."""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"bytes": body}


def _subprotocol(answer: Mapping[str, Any]) -> str | None:
    wanted = "sec-websocket-protocol"
    headers = answer.get("headers") or {}
    return next((value for name, value in headers.items() if name.lower() == wanted), None)


def _grouped(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


async def _refuse(send: Send, status: int, body: Mapping[str, Any]) -> None:
    """An ordinary HTTP answer instead of the upgrade."""
    await _answer(send, status, body, kind="websocket.http.response")


async def _answer(
    send: Send, status: int, body: Mapping[str, Any] | None, *, error: str = "", kind: str = "http.response"
) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if error:
        headers.append((b"x-amzn-errortype", error.encode()))
    await send({"type": f"{kind}.start", "status": int(status), "headers": headers})
    await send({"type": f"{kind}.body", "body": content})
