"""What the protocols share: the door, the connections, the way back to them, and messages as requests."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from quintet.http.afterwards import afterwards
from quintet.identity.door import gate
from quintet.settings import settings
from quintet.sockets import store as connections
from quintet.sockets.messages import Messages
from quintet.sockets.posts import Posts
from quintet.telemetry.requests import record

__all__ = ["connections", "door", "messages", "poster", "stay"]

_STAY_SECONDS = 25.0  # API Gateway gives a message's invocation 29, and then tells the client that it took too long

door = gate()
poster = Posts(connections)
messages = Messages(door, record)
_running: set[asyncio.Task[None]] = set()


async def stay(work: Coroutine[Any, Any, None]) -> None:
    """Returns at the end of the work, or shortly before API Gateway's patience ends, where the process lives on.

    On Lambda the message is answered at once, and the work done then.
    """
    if settings().on_lambda:
        await afterwards.leave(work)
        return
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    done, _ = await asyncio.wait({task}, timeout=_STAY_SECONDS)
    if done:
        task.result()
