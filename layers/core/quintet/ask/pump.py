"""A model's stream in a task of its own: read where and when the caller is ready, hung up on when the caller leaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Self

_AHEAD = 32  # pieces that wait for a slow reader; then the vendor waits too
STALLED_SECONDS = 60.0  # without a reader, after which there is none

Put = Callable[[str], Awaitable[None]]
Work = Callable[[Put], Awaitable[None]]


class _End:
    pass


class Pump:
    """Pieces of text. Deadlines and connections belong to the task that took them, so `work` runs in one from its
    beginning to its end; it puts one piece before it is ready, which may be empty.
    """

    def __init__(self, work: Work) -> None:
        self._waiting: asyncio.Queue[str | Exception | _End] = asyncio.Queue(_AHEAD)
        self._task = asyncio.create_task(self._run(work))

    @classmethod
    async def begun(cls, work: Work) -> Self:
        """Raises what `work` raised before its first piece."""
        pump = cls(work)
        try:
            first = pump._first = await pump._waiting.get()
        except BaseException:
            await pump.close()
            raise
        if isinstance(first, Exception):
            raise first
        return pump

    _first: str | Exception | _End

    async def pieces(self, *, most: int = 1) -> AsyncIterator[str]:
        """Pieces as they come; up to `most` characters of what has piled up meanwhile come as one."""
        ready: str | Exception | _End = self._first
        while True:
            if isinstance(ready, _End):
                return
            if isinstance(ready, Exception):
                raise ready
            text, following = ready, None
            while following is None and len(text) < most and not self._waiting.empty():
                following = self._waiting.get_nowait()
                if isinstance(following, str):
                    text, following = text + following, None
            if text:
                yield text
            ready = following if following is not None else await self._waiting.get()

    async def close(self) -> None:
        """Returns once the vendor was hung up on and what was used is settled."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, work: Work) -> None:
        end: Exception | _End = _End()
        try:
            await work(self._put)
        except Exception as error:
            end = error
        with suppress(TimeoutError):  # the reader is gone
            await self._put(end)

    async def _put(self, piece: str | Exception | _End) -> None:
        async with asyncio.timeout(STALLED_SECONDS):
            await self._waiting.put(piece)
