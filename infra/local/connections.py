"""One open WebSocket, and the events by which API Gateway tells a function of it."""

import base64
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Message, Scope, Send

from quintet.store.clock import millis

# On our own host the path says the protocol; behind API Gateway, which has no paths here, `?protocol=` does.
PROTOCOLS: Mapping[str, str] = {
    "/ws/stream": "toron",
    "/stream": "cyborgmind",
    "/ws/elevenlabs": "elevenlabs",
    "/ws": "kyros",
}


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


def _grouped(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped
