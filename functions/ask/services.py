"""The ask API's verbs over the real gateway, tables and keys; each made when it is first needed."""

from collections.abc import Collection

from quintet.ask.asking import Asking
from quintet.ask.envelope import store as replays
from quintet.ask.envelope.opening import Opener
from quintet.ask.shown import Shown
from quintet.copies import own
from quintet.gateway.live import gateway, views
from quintet.sockets import store as connections


@own
def shown() -> Shown:
    return Shown(lambda: views().current(), connections)


@own
def asking() -> Asking:
    return Asking(gateway, shown())


@own
def opener() -> Opener:
    from quintet.ask.envelope.kms import KmsKeys  # most prompts are not sealed

    return Opener(KmsKeys(), replays)


def sealing_keys() -> Collection[str]:
    """The names that prompts may be sealed for."""
    from quintet.ask.envelope.kms import published

    return published().keys()
