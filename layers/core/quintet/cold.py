"""A cold start's garbage: what importing makes stays for good, so collecting while it goes on is time lost."""

import gc

from quintet.settings import settings


def importing() -> None:
    """Before the heavy imports. A server that lives for days collects as ever."""
    if settings().on_lambda:
        gc.disable()


def imported() -> None:
    """After them: what is there now is never looked at again."""
    if settings().on_lambda:
        gc.freeze()
        gc.enable()
