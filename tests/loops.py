"""Tests written as coroutines: each has an event loop of its own, and too little patience to hang."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")


def on_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def within_reason() -> None:
            async with asyncio.timeout(30):
                await test(*args, **kwargs)

        asyncio.run(within_reason())

    return run
