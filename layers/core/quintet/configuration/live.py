"""What is in force, as one instance knows it: at most ten seconds old, and at once where it was changed."""

import time
from typing import Any

from quintet.configuration import reading
from quintet.configuration.model import SYSTEM, Document, values_of
from quintet.configuration.system import schema
from quintet.copies import forget_in_copies

KEEP_SECONDS = 10.0
_known: dict[str, tuple[float, Document]] = {}
forget_in_copies(_known.clear)


async def document(name: str) -> Document:
    known = _known.get(name)
    if known is not None and time.monotonic() < known[0]:
        return known[1]
    newest = await reading.read(name)
    keep(newest)
    return newest


def keep(newest: Document) -> None:
    """Whoever changes a document tells its own instance so."""
    _known[newest.name] = (time.monotonic() + KEEP_SECONDS, newest)


def forget() -> None:
    _known.clear()


async def system() -> dict[str, Any]:
    """The system's document whole: `(await system())["escalation"]["cost_threshold"]`."""
    return values_of(await document(SYSTEM), schema())


async def said(*path: str) -> Any:
    """What an operator has said at this place of the system's document; None where nobody has said anything."""
    found: Any = (await document(SYSTEM)).changed
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
