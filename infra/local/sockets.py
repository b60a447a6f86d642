"""WebSockets as API Gateway would serve them: events for the sockets function, and `@connections` to answer through."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from infra.local.connections import PROTOCOLS, Connection, Context
from quintet.store.clock import iso

Handler = Callable[[dict[str, Any], Any], Any]

MAX_MESSAGE = 128 << 10  # API Gateway's
ANSWER_SECONDS = 29.0  # how long API Gateway waits for the function before it takes the next message
CONNECTIONS = "@connections"
_THREADS = 64
_WAITING = 32  # messages of one connection that wait for their turn; more wait in the client
_ABNORMAL = 1006

log = logging.getLogger("quintet.local")


class Sockets:
    """Open connections by id. `handler` runs in threads; one connection's messages are handled one after another.

    `seconds` is the function's own timeout, of which it can ask; `patience` is how long the next message waits for it.
    """

    def __init__(
        self,
        handler: Handler,
        name: str,
        *,
        stage: str = "local",
        seconds: float = ANSWER_SECONDS,
        patience: float = ANSWER_SECONDS,
    ) -> None:
        self._handler = handler
        self._name = name
        self._stage = stage
        self._seconds = seconds
        self._patience = patience
        self._open: dict[str, Connection] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sockets")

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
        code, reason = _ABNORMAL, ""
        try:
            await send({"type": "websocket.accept", "subprotocol": _subprotocol(answer)})
            self._open[connection.id] = connection
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
            while (message := await receive())["type"] != "websocket.disconnect":
                connection.active = datetime.now(UTC)
                await waiting.put(message)
            self._open.pop(connection.id, None)
            await waiting.put(None)
            await handling
        finally:
            handling.cancel()
        return message.get("code") or _ABNORMAL, message.get("reason") or ""

    async def _handle(self, connection: Connection, waiting: asyncio.Queue[Message | None]) -> None:
        while (message := await waiting.get()) is not None:
            event = connection.message_event(message)
            call = asyncio.ensure_future(self._call(event))
            done, _ = await asyncio.wait({call}, timeout=self._patience)
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
        context = Context(self._name, self._seconds)
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._threads, self._handler, event, context)
        except Exception:
            log.exception("the sockets function failed on %s", event["requestContext"]["routeKey"])
            return None
        return {} if answer is None else answer

    async def manage(self, method: str, path: str, receive: Receive, send: Send) -> None:
        """`path` is what follows the API's URL: `/@connections/{id}`."""
        connection = self._open.get(path.rpartition("/")[2])
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
