"""A cold start's garbage: what importing makes stays for good, so a Lambda does not collect while it imports.

Importing this module switches collecting off, so it is the first import of every function (ruff's order of imports says
so); `imported` ends it. A server that lives for days collects as ever.
"""

import gc

from quintet.settings import settings

if settings().on_lambda:
    gc.disable()


def imported() -> None:
    """What is there by now is never looked at again."""
    if settings().on_lambda:
        gc.freeze()
        gc.enable()
