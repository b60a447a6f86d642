"""Tests written as coroutines: each has an event loop of its own, and a bound upon hanging."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")
_PATIENCE = 120  # seconds: a busy machine is no failure


def on_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def within_reason() -> None:
            async with asyncio.timeout(_PATIENCE):
                await test(*args, **kwargs)

        asyncio.run(within_reason())

    return run


async def settled() -> None:
    """All that can go on without the outside has gone on."""
    for _ in range(100):
        await asyncio.sleep(0)
