"""Stepping over the real table and the stack's policies: one for all that this process serves.

It imports numpy and the ONNX runtime (0.2 s): who seldom steps, as the sockets function does, imports it when it does.
"""

from quintet.copies import forget_in_copies
from quintet.policy.catalogue import Catalogue
from quintet.policy.shelves import shelves
from quintet.policy.stepping import Stepping
from quintet.policy.store import Agents
from quintet.settings import Settings, settings
from quintet.store.clock import SystemClock

_made: list[tuple[Settings, Stepping]] = []
forget_in_copies(_made.clear)


def stepping() -> Stepping:
    """By the very settings: comparing all of them would cost as much as a step."""
    given = settings()
    if not _made or _made[0][0] is not given:
        catalogue = Catalogue(shelves(given), given.policy_default)
        _made[:] = [(given, Stepping(Agents(), catalogue, SystemClock()))]
    return _made[0][1]
