"""API Gateway's WebSocket events, as the sockets function gets them."""

import base64
from collections.abc import Mapping
from typing import Any

IP = "203.0.113.7"


def connecting(
    protocol: str | None, connection_id: str = "c1=", *, headers: Mapping[str, str] | None = None, **query: str
) -> dict[str, Any]:
    asked = {**query, **({} if protocol is None else {"protocol": protocol})}
    sent = {"Host": "ws.example.test", **(headers or {})}
    event = _event("$connect", "CONNECT", connection_id)
    return event | {"headers": sent, "queryStringParameters": asked or None}


def saying(message: str | bytes, connection_id: str = "c1=") -> dict[str, Any]:
    binary = isinstance(message, bytes)
    body = base64.b64encode(message).decode() if isinstance(message, bytes) else message
    return _event("$default", "MESSAGE", connection_id) | {"body": body, "isBase64Encoded": binary}


def leaving(connection_id: str = "c1=") -> dict[str, Any]:
    return _event("$disconnect", "DISCONNECT", connection_id)


def _event(route: str, kind: str, connection_id: str) -> dict[str, Any]:
    return {
        "requestContext": {
            "routeKey": route,
            "eventType": kind,
            "connectionId": connection_id,
            "connectedAt": 1795170600000,
            "requestId": "r",
            "domainName": "ws.example.test",
            "stage": "test",
            "identity": {"sourceIp": IP},
        },
        "isBase64Encoded": False,
    }
