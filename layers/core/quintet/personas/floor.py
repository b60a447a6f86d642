"""One turn at a time: who holds a session's floor may write it, and loses it soon when gone."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakValueDictionary

from quintet.errors import Failure, Kind
from quintet.personas.model import Session
from quintet.personas.ports import Conversations
from quintet.store.clock import Clock

PATIENCE = 10.0  # seconds that a second turn waits for the first
LEASE = timedelta(seconds=6)  # so long a process that was killed holds what it held: shorter than others wait
_RENEWED_EVERY = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.03, 0.5

log = logging.getLogger("quintet.personas")


@dataclass(slots=True)
class Held:
    """`session` is what was stored; None for a caller who is new."""

    key: str
    turn: str
    session: Session | None


class Floor:
    """Within one process turns queue in their order; between processes the store decides."""

    def __init__(self, conversations: Conversations, clock: Clock, patience: float = PATIENCE) -> None:
        self._conversations = conversations
        self._clock = clock
        self._patience = patience
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, key: str) -> AsyncIterator[Held]:
        """Raises Failure(CONFLICT) when somebody speaks for too long. Whatever happens, the floor is given back."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = asyncio.Lock()
        try:
            async with asyncio.timeout(self._patience):
                await queue.acquire()
                try:
                    held = await self._take(key)
                except BaseException:
                    queue.release()
                    raise
        except TimeoutError:
            raise Failure(
                Kind.CONFLICT,
                "This session is still answering an earlier message: try again when it has",
                code="session_busy",
                retry_after=1,
            ) from None
        renewing = asyncio.create_task(self._renew(held))
        try:
            yield held
        finally:
            renewing.cancel()
            try:
                # Also a turn that is being cancelled gives the floor back: the next one need not wait for the lease.
                await asyncio.shield(self._give_back(held))
            finally:
                queue.release()

    async def _take(self, key: str) -> Held:
        turn = secrets.token_hex(8)
        pause = _FIRST_PAUSE
        while True:
            now = self._clock.now()
            taken, session = await self._conversations.take(key, turn, now, now + LEASE)
            if taken:
                return Held(key, turn, session)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _renew(self, held: Held) -> None:
        while True:
            await asyncio.sleep(_RENEWED_EVERY)
            with suppress(Exception):  # the lease has time for the next try
                await self._conversations.renew(held.key, held.turn, self._clock.now() + LEASE)

    async def _give_back(self, held: Held) -> None:
        try:
            await self._conversations.give_back(held.key, held.turn)
        except Exception:
            log.exception("a session's floor is free only when its lease ends")
