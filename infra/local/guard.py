"""The emulator's door: it opens to requests signed with this run's key, or with a role's that the emulator issued."""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_evaluator, sigv4

from infra.local.emulator import GATEWAY_HEADER, GATEWAY_PATH

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY = 256 << 20  # a function's package is the largest thing that is sent here
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
_OWN_PATHS = ("/_ministack/", "/_localstack/", "/restapis/")  # its controls: nobody signs those


@dataclass(frozen=True, slots=True)
class Keys:
    """`gateway` opens the API Gateway paths, whose callers bring credentials of the API's own in `Authorization`."""

    access: str
    gateway: str = field(repr=False)


class Refused(Exception):  # noqa: N818 - an answer
    pass


class Guard:
    """MiniStack takes the root user's word unverified and answers any web page: nothing of that passes here."""

    def __init__(self, inner: App, keys: Keys) -> None:
        self.served = 0
        self._inner = inner
        self._keys = keys

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope, receive = await self._admitted(scope, receive)
            except Refused as refused:
                await _refuse(send, str(refused))
                return
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._inner(scope, receive, send)
        self.served += 1

    async def _admitted(
        self, scope: MutableMapping[str, Any], receive: Receive
    ) -> tuple[MutableMapping[str, Any], Receive]:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if "origin" in headers or not _LOOPBACK.fullmatch(headers.get("host", "")):
            raise Refused("browsers have no business here")
        if scope["path"].startswith(_OWN_PATHS):
            raise Refused("not offered")
        if scope["path"].startswith(GATEWAY_PATH):
            if not hmac.compare_digest(headers.get(GATEWAY_HEADER, "").encode("latin-1"), self._keys.gateway.encode()):
                raise Refused(f"{GATEWAY_HEADER} is missing or wrong")
            kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") != GATEWAY_HEADER]
            return {**scope, "headers": kept}, receive
        body = await _read(receive)
        self._verify(scope, headers, body)
        return scope, _replayed(body, receive)

    def _verify(self, scope: MutableMapping[str, Any], headers: dict[str, str], body: bytes) -> None:
        if not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            raise Refused("the request is not signed")
        signature = sigv4.parse_header_signature(headers)
        if isinstance(signature, tuple):
            raise Refused(signature[1])
        if signature.access_key_id != self._keys.access and not signature.access_key_id.startswith("ASIA"):
            raise Refused("the access key is not of this run")
        credential = iam_evaluator.resolve_credential(
            signature.access_key_id, session_token=headers.get("x-amz-security-token", "")
        )
        if isinstance(credential, iam_evaluator.CredentialResolutionError):
            raise Refused(credential.message)
        wrong = sigv4.request_time_failure(signature) or sigv4.header_signature_failure(
            signature,
            credential.secret_access_key,
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            _query(scope["query_string"]),
            headers,
            body,
        )
        if wrong:
            raise Refused(wrong[1])


def _query(text: bytes) -> dict[str, list[str]]:
    return parse_qs(text.decode("latin-1"), keep_blank_values=True)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused("the request is too large")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay


async def _refuse(send: Send, reason: str) -> None:
    body = json.dumps({"__type": "AccessDenied", "message": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
