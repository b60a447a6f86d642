"""Personas on the WebSocket API."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from quintet.gateway.live import gateway
from quintet.http.work import offload
from quintet.identity.limits import address_account
from quintet.personas.cast import cast
from quintet.personas.elevenlabs.socket import Access, Voices
from quintet.personas.floor import Floor
from quintet.personas.inbox import Queue
from quintet.personas.store import conversations, notebook, processes
from quintet.personas.talk import Talk
from quintet.personas.tools.box import Toolbox
from quintet.personas.tools.own import own_tools
from quintet.personas.tools.team import team_tools
from quintet.settings import settings
from quintet.store.clock import SystemClock
from quintet.store.secrets import secret
from sockets.services import connections, messages, poster

_running: set[asyncio.Task[None]] = set()


def voices() -> Voices:
    clock = SystemClock()
    tools = [*own_tools(notebook, clock), *team_tools(cast(), gateway(), processes, clock)]
    floor = Floor(conversations, clock)
    talk = Talk(gateway(), conversations, notebook, Queue(), Toolbox(tools), clock, floor)
    access = Access(lambda: offload(secret, "elevenlabs_api_key"), lambda: settings().open_access, address_account)
    return Voices(cast(), talk, conversations, poster, connections, messages, access, apart)


async def apart(work: Coroutine[Any, Any, None]) -> None:
    """On Lambda a process works only while it is called, and the next message calls another one."""
    if settings().on_lambda:
        await work
        return
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
