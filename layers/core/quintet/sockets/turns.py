"""One message of a connection after another, in the order of their arrival, across all instances."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from quintet.errors import Failure, Kind
from quintet.sockets.model import Connections
from quintet.store.clock import Clock, SystemClock
from quintet.store.ids import new_id

_HELD = timedelta(seconds=130)  # longer than an invocation: who has not left the line by then is dead
_MOST = 16  # that wait for one connection: on Lambda each is an instance that does nothing
_PATIENCE = timedelta(seconds=60)
_FIRST_LOOK, _LONGEST_LOOK = 0.02, 0.25  # seconds between two looks at the line


@asynccontextmanager
async def turn(connections: Connections, connection_id: str, clock: Clock | None = None) -> AsyncIterator[None]:
    """The block runs once all earlier blocks of this connection have ended, wherever they run.

    Raises Failure(LIMITED) when too many wait or it takes too long, and Gone.
    """
    clock = clock or SystemClock()
    began = clock.now()
    ticket = new_id("turn", began)
    line = await connections.line_up(connection_id, ticket, began + _HELD)
    try:
        if len([other for other in line if line[other] > began]) > _MOST:
            raise _too_many()
        pause = _FIRST_LOOK
        while not _is_first(ticket, line, clock.now()):
            if clock.now() - began > _PATIENCE:
                raise _too_many()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK)
            line = await connections.line(connection_id)
        yield
    finally:
        await asyncio.shield(connections.leave_line(connection_id, ticket))


def _is_first(ticket: str, line: Mapping[str, datetime], now: datetime) -> bool:
    """Tickets sort by their age."""
    return all(other >= ticket or until <= now for other, until in line.items())


def _too_many() -> Failure:
    return Failure(Kind.LIMITED, "Earlier messages of this connection are still being answered", retry_after=1)
