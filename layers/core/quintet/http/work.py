"""Where blocking work runs: a Lambda serves one request at a time and may block, a shared server may not."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from quintet.settings import settings

P = ParamSpec("P")
T = TypeVar("T")


async def offload(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A thread hop costs half a millisecond: on Lambda, where nothing else waits, the work runs in place."""
    if settings().on_lambda:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
