"""An ASGI app asked directly, without a server: what it says, message by message."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Exchange:
    """One request and what has been answered so far."""

    messages: list[Any] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def disconnect(self) -> None:
        """As when the caller hangs up."""
        self._gone.set()

    def cancel(self) -> None:
        """As when the server gives the request up."""
        assert self._task is not None
        self._task.cancel()

    async def said(self, count: int) -> None:
        """Until the app has sent so many messages."""
        while len(self.messages) < count:
            self._news.clear()
            await self._news.wait()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def whole(self) -> bool:
        return len(self.messages) > 1 and not self.messages[-1].get("more_body", False)

    def json(self) -> Any:
        return json.loads(self.body)


def scope(method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    bare, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "https",
        "server": ("api.example.test", 443),
        "client": ("203.0.113.7", 0),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        **more,
    }


@asynccontextmanager
async def asked(
    app: Any,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    pieces: int = 1,
    **more: Any,
) -> AsyncIterator[Exchange]:
    """The app answers while the block runs, and has ended after it. `more` goes into the scope."""
    exchange = Exchange()
    size = max(1, -(-len(body) // pieces))
    waiting = [body[start : start + size] for start in range(0, len(body), size)] or [b""]

    async def receive() -> Any:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}
        await exchange._gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        exchange.messages.append(dict(message))
        exchange._news.set()

    task = exchange._task = asyncio.create_task(app(scope(method, path, headers, **more), receive, send))
    try:
        yield exchange
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
    finally:
        task.cancel()


async def ask(app: Any, method: str, path: str, **options: Any) -> Exchange:
    """The whole answer. Options are those of `asked`."""
    async with asked(app, method, path, **options) as exchange:
        pass
    return exchange
