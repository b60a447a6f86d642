"""Stepping over the real table and the stack's policies: one for all that this process serves.

It imports numpy and the ONNX runtime (0.2 s): who seldom steps, as the sockets function does, imports it when it does.
"""

from functools import cache

from quintet.policy.catalogue import Catalogue
from quintet.policy.shelves import shelves
from quintet.policy.stepping import Stepping
from quintet.policy.store import Agents
from quintet.settings import Settings, settings
from quintet.store.clock import SystemClock


def stepping() -> Stepping:
    return _stepping(settings())


@cache
def _stepping(given: Settings) -> Stepping:
    return Stepping(Agents(), Catalogue(shelves(given), given.policy_default), SystemClock())
