"""A source of values that runs in a task of its own: begun here, read there, and ended whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
Emit = Callable[[T], Awaitable[None]]

_AHEAD = 64  # values that wait for the reader
_STALLED = 120.0  # seconds without a reader, after which there is none


class _End:
    pass


class Pump(Generic[T]):
    """Timeouts and locks belong to the task that took them: a source that is read by several tasks would break them."""

    def __init__(self, source: Callable[[Emit[T]], Awaitable[None]]) -> None:
        self._waiting: asyncio.Queue[T | BaseException | _End] = asyncio.Queue(_AHEAD)
        self._first: T | BaseException | _End | None = None
        self._over = False
        self._task = asyncio.create_task(self._run(source))

    async def ready(self) -> None:
        """Until there is something to read, or the end. Raises what the source raised before its first value."""
        if self._first is None:
            self._first = await self._waiting.get()
        if isinstance(self._first, BaseException):
            self._over = True
            raise self._first

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._over:
            raise StopAsyncIteration
        value, self._first = self._first, None
        if value is None:
            value = await self._waiting.get()
        if isinstance(value, _End | BaseException):
            self._over = True
            raise StopAsyncIteration if isinstance(value, _End) else value
        return value

    async def aclose(self) -> None:
        """Cancels the source where it is not over, and returns when it has put everything in order."""
        self._over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, source: Callable[[Emit[T]], Awaitable[None]]) -> None:
        last: BaseException | _End = _End()
        try:
            await source(self._put)
        except Exception as error:
            last = error
        with suppress(TimeoutError):
            await self._put(last)

    async def _put(self, value: T | BaseException | _End) -> None:
        async with asyncio.timeout(_STALLED):
            await self._waiting.put(value)
