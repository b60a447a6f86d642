"""A cold start's garbage: what importing makes stays for good, so a Lambda does not collect while it imports.

Importing this module switches collecting off, so it is the first import of every function (ruff's order of imports says
so); `imported` ends it. A server that lives for days collects as ever.
"""

import gc
import time

from quintet.settings import settings

_begun = time.perf_counter()
_seconds = 0.0

if settings().on_lambda:
    gc.disable()


def imported() -> None:
    """What is there by now is never looked at again."""
    global _seconds
    _seconds = time.perf_counter() - _begun
    if settings().on_lambda:
        gc.freeze()
        gc.enable()


def start_seconds() -> float:
    """What importing took, for whoever asks first: AWS charges for it once."""
    global _seconds
    taken, _seconds = _seconds, 0.0
    return taken
