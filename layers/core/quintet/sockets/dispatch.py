"""One small dispatcher: API Gateway's WebSocket events to the protocol that the client chose."""

import base64
import logging
from collections.abc import Callable, Mapping
from typing import Any

from quintet.copies import own
from quintet.errors import Failure
from quintet.http.dialects import CYBORGMIND, KYROS, TORON, TRON, Dialect
from quintet.http.exchange import Exchange, Recorder, address_of
from quintet.identity.door import Door
from quintet.identity.model import Principal
from quintet.sockets.model import Accepted, Connection, Connections, Gone, Handshake, Poster, SocketProtocol, bearer_of
from quintet.store.clock import Clock, SystemClock, from_millis
from quintet.store.ids import new_id

Event = Mapping[str, Any]
Make = Callable[[], SocketProtocol]

# Each protocol's path on our own host, which is also its route in the request log, and the dialect of its document.
ROUTES: Mapping[str, tuple[str, Dialect]] = {
    "toron": ("/ws/stream", TORON),
    "cyborgmind": ("/stream", CYBORGMIND),
    "elevenlabs": ("/ws/elevenlabs", TRON),
    "kyros": ("/ws", KYROS),
}
_OK = {"statusCode": 200}

log = logging.getLogger("quintet.sockets")


class Dispatcher:
    """`protocols` are made at their first use: a message loads only what its own protocol needs.

    `poster` hangs up on clients that speak on a connection which nobody knows any more.
    """

    def __init__(
        self,
        protocols: Mapping[str, Make],
        connections: Connections,
        door: Door,
        recorder: Recorder,
        clock: Clock | None = None,
        poster: Poster | None = None,
    ) -> None:
        self._protocols = {name: own(make) for name, make in protocols.items()}
        self._connections = connections
        self._door = door
        self._recorder = recorder
        self._clock = clock or SystemClock()
        self._poster = poster

    async def __call__(self, event: Event) -> dict[str, Any]:
        kind = event["requestContext"]["eventType"]
        if kind == "CONNECT":
            return await self._connect(event)
        connection = await self._connections.find(event["requestContext"]["connectionId"])
        if connection is None:  # closed by us already, or its time to live has ended
            if kind == "MESSAGE" and self._poster is not None:
                await self._poster.close(event["requestContext"]["connectionId"])
            return {"statusCode": 410}
        if kind == "MESSAGE":
            await self._message(connection, event)
        else:
            await self._disconnect(connection)
        return _OK

    async def _connect(self, event: Event) -> dict[str, Any]:
        query = event.get("queryStringParameters") or {}
        name = query.get("protocol", "")
        make = self._protocols.get(name)
        if make is None:
            return {"statusCode": 400, "body": f"protocol must be one of: {', '.join(self._protocols)}"}
        exchange = exchange_of(name, event, self._clock.now())
        try:
            await self._door(exchange)
            handshake = _handshake(name, event, exchange)
            accepted = await make().connect(handshake)
            await self._connections.open(_connection(accepted, handshake, event))
        except Failure as failure:
            exchange.failure, exchange.status = failure, exchange.dialect.status(failure)
            return {"statusCode": exchange.status, "headers": exchange.dialect.headers(failure)}
        else:
            exchange.status = 101
        finally:
            await self._record(exchange)
        headers = {"Sec-WebSocket-Protocol": accepted.subprotocol} if accepted.subprotocol else {}
        return {"statusCode": 200, "headers": headers}

    async def _message(self, connection: Connection, event: Event) -> None:
        body = event.get("body") or ""
        message = base64.b64decode(body) if event.get("isBase64Encoded") else body
        try:
            await self._protocols[connection.protocol]().message(connection, message)
        except Gone:
            await self._connections.remove(connection.id)

    async def _disconnect(self, connection: Connection) -> None:
        try:
            await self._protocols[connection.protocol]().disconnect(connection)
        finally:
            await self._connections.remove(connection.id)

    async def _record(self, exchange: Exchange) -> None:
        try:
            await self._recorder(exchange)
        except Exception:
            log.exception("request record lost", extra={"request_id": exchange.request_id})


def exchange_of(protocol: str, event: Event, now: Any) -> Exchange:
    """An upgrade as the door and the request log know requests: named, counted and recorded like any other."""
    path, dialect = ROUTES[protocol]
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    token = bearer_of(headers)
    if token:
        headers.setdefault("authorization", f"Bearer {token}")
    return Exchange(
        record_id=new_id("rec", now),
        request_id=new_id("req", now),
        group="sockets",
        method="GET",
        path=path,
        route=path,
        ip=address_of(headers, event["requestContext"].get("identity", {}).get("sourceIp", "")),
        headers=headers,
        at=now,
        dialect=dialect,
    )


def _handshake(protocol: str, event: Event, exchange: Exchange) -> Handshake:
    query = dict(event.get("queryStringParameters") or {})
    del query["protocol"]
    caller = exchange.caller
    assert caller is None or isinstance(caller, Principal)
    return Handshake(
        connection_id=event["requestContext"]["connectionId"],
        protocol=protocol,
        headers=exchange.headers,
        query=query,
        ip=exchange.ip,
        at=exchange.at,
        caller=caller,
        refusal=exchange.refusal,
    )


def _connection(accepted: Accepted, handshake: Handshake, event: Event) -> Connection:
    context = event["requestContext"]
    return Connection(
        id=handshake.connection_id,
        protocol=handshake.protocol,
        principal=accepted.principal,
        connected_at=from_millis(context["connectedAt"]) if "connectedAt" in context else handshake.at,
        ip=handshake.ip,
        host=context.get("domainName", ""),
        attributes=accepted.attributes,
    )
