"""A tick of the schedule: whatever is due is lived once, by whichever tick comes first."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from quintet.gateway.model import Journal, Payer
from quintet.personas.life.activities import Life
from quintet.personas.life.slots import Slot, due
from quintet.personas.model import Persona
from quintet.personas.ports import Marks

_CLAIMED = timedelta(minutes=6)  # longer than the function lives: after that nobody is at it any more
_REMEMBERED = timedelta(days=3)

log = logging.getLogger("quintet.personas")

Journals = Callable[[Persona, Slot], AbstractAsyncContextManager[Journal]]


@dataclass(frozen=True, slots=True)
class Ticking:
    life: Life
    marks: Marks
    journals: Journals

    async def tick(self, payer: Payer) -> list[str]:
        """What was lived. A slot that failed is left for the next tick, as long as it is not too late."""
        lived = await asyncio.gather(*(self._of(persona, payer) for persona in self.life.cast.personas))
        return [mark for marks in lived for mark in marks]

    async def _of(self, persona: Persona, payer: Payer) -> list[str]:
        lived = []
        for slot in due(persona, self.life.clock.now()):
            now = self.life.clock.now()
            if not await self.marks.claim(slot.mark, now, now + _CLAIMED, now + _REMEMBERED):
                continue
            try:
                async with self.journals(persona, slot) as journal:
                    await self.life.live(persona, slot.activity, payer, journal)
            except Exception:
                log.exception("an activity failed", extra={"slot": slot.mark})
                await self.marks.drop(slot.mark)
            else:
                await self.marks.finish(slot.mark)
                lived.append(slot.mark)
        return lived
