"""Life over the real tables, the real gateway and the internet."""

from contextlib import AbstractAsyncContextManager

from quintet.gateway.journals import WorkJournal
from quintet.gateway.model import Journal
from quintet.personas.life.live import life
from quintet.personas.life.slots import Slot
from quintet.personas.life.ticking import Ticking
from quintet.personas.model import Persona
from quintet.personas.store import notebook


async def ticking() -> Ticking:
    return Ticking(await life(), notebook, journal_of)


def journal_of(_persona: Persona, slot: Slot) -> AbstractAsyncContextManager[Journal]:
    return WorkJournal("life", slot.activity.value, principal="persona-life")
