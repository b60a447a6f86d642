"""Personas on the WebSocket API."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from quintet.http.afterwards import afterwards
from quintet.http.work import offload
from quintet.identity.limits import address_account
from quintet.personas import live
from quintet.personas.cast import cast
from quintet.personas.elevenlabs.socket import Access, Voices
from quintet.personas.store import conversations
from quintet.settings import settings
from quintet.store.secrets import secret
from sockets.services import connections, door, messages, poster

_running: set[asyncio.Task[None]] = set()


def voices() -> Voices:
    talk = live.talk(live.toolbox())
    access = Access(
        lambda: offload(secret, "elevenlabs_api_key"),
        lambda: settings().open_access,
        address_account,
        door.authenticate,
    )
    return Voices(cast(), talk, conversations, poster, connections, messages, access, apart)


async def apart(work: Coroutine[Any, Any, None]) -> None:
    """On Lambda the message is answered first, and the next one calls another process."""
    if settings().on_lambda:
        await afterwards.leave(work)
        return
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
