"""The way back to open connections: API Gateway's `@connections`, or the local front's, over our own client."""

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from quintet.errors import Failure, Kind
from quintet.net import client
from quintet.net.client import NetError, Response
from quintet.net.sigv4 import sign
from quintet.settings import settings
from quintet.sockets.model import MAX_MESSAGE, Connections, Gone, too_large
from quintet.store.credentials import credentials
from quintet.store.meter import used

_SECONDS = 10.0  # one attempt: whoever reads nothing for so long has lost the connection
_ATTEMPTS = 4
_PAUSE = 0.05
_CHARGED_BYTES = 32 << 10  # a message is charged for by pieces of this size


class Posts:
    """A `Poster`. What it finds gone is removed from the connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def post(self, connection_id: str, payload: str | bytes) -> None:
        body = payload.encode(errors="replace") if isinstance(payload, str) else payload
        if len(body) > MAX_MESSAGE:
            raise too_large()
        try:
            answer = await _ask("POST", connection_id, body)
        except NetError as error:
            if not error.timed_out:
                raise Failure(Kind.UNAVAILABLE, "The WebSocket API could not be reached", retry_after=1) from error
            await self._give_up(connection_id)
            raise Gone from None
        if answer.status == 410:
            await self._connections.remove(connection_id)
            raise Gone
        if answer.status == 413:
            raise too_large()
        if answer.status >= 300:
            raise Failure(Kind.UPSTREAM, f"The WebSocket API refused a message: HTTP {answer.status}")

    async def close(self, connection_id: str) -> None:
        with suppress(NetError):  # API Gateway closes it by and by
            await _ask("DELETE", connection_id, b"")
        await self._connections.remove(connection_id)

    async def _give_up(self, connection_id: str) -> None:
        """A reader that takes nothing is hung up on, as API Gateway would when its buffer is full."""
        await self.close(connection_id)


async def _ask(method: str, connection_id: str, body: bytes) -> Response:
    """Only what API Gateway refused untouched is tried again: a message must not arrive twice."""
    url = f"{settings().sockets_url}/%40connections/{quote(connection_id, safe='')}"
    for attempt in range(1, _ATTEMPTS + 1):
        headers = sign(
            await credentials(),
            "execute-api",
            settings().aws_region,
            host=client.host_of(url),
            body=body,
            headers={"content-type": "application/octet-stream"} if body else {},
            now=datetime.now(UTC),
            method=method,
            path=urlsplit(url).path,
        )
        if body:
            used("websocket_message", -(-len(body) // _CHARGED_BYTES))
        answer = await client.send(method, url, headers=headers, body=body, timeout=_SECONDS, idempotent=False)
        if answer.status != 429 or attempt == _ATTEMPTS:
            return answer
        await asyncio.sleep(random.uniform(0.5, 1) * _PAUSE * 2**attempt)  # noqa: S311 - jitter, not a secret
    raise AssertionError("the last attempt returns or raises")
