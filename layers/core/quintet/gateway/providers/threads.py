"""Blocking work in a thread of its own, on behalf of a coroutine that may stop waiting for it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, abandoned: Callable[[T], object] | None = None) -> T:
    """Not one of the loop's few threads: a vendor may take minutes.

    `abandoned` gets what was made after nobody waited for it any more.
    """
    loop = asyncio.get_running_loop()
    made: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if made.done():
            if error is None and abandoned is not None and value is not None:
                abandoned(value)
        elif error is not None:
            made.set_exception(error)
        else:
            made.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except Exception as raised:  # it is raised where it is waited for
            error = raised
        with suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return await made


async def pumped(source: Iterable[T]) -> AsyncGenerator[T]:
    """What a blocking iteration yields. Its errors are raised here."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[T | None, BaseException | None]] = asyncio.Queue()

    def put(item: T | None, error: BaseException | None) -> None:
        loop.call_soon_threadsafe(arrived.put_nowait, (item, error))

    def run() -> None:
        with suppress(RuntimeError):  # the loop is over
            try:
                for item in source:
                    put(item, None)
                put(None, StopIteration())
            except Exception as raised:  # it is raised where it is waited for
                put(None, raised)

    threading.Thread(target=run, daemon=True).start()
    while True:
        item, error = await arrived.get()
        if isinstance(error, StopIteration):
            return
        if error is not None:
            raise error
        yield item  # type: ignore[misc]
