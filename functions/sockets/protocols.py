"""The protocols by name. Each imports its room when it is first spoken: no message pays for another one's code."""

from collections.abc import Mapping

from quintet.sockets.dispatch import Make
from quintet.sockets.model import SocketProtocol
from sockets.services import connections, messages, poster


def toron() -> SocketProtocol:
    from quintet.ask.asking import Asking
    from quintet.ask.shown import Shown
    from quintet.ask.socket import Prompts
    from quintet.gateway.live import gateway, views

    shown = Shown(lambda: views().current(), connections)
    return Prompts(Asking(gateway, shown), poster, connections, messages)


def kyros() -> SocketProtocol:
    from sockets.following import following

    return following()


PROTOCOLS: Mapping[str, Make] = {"toron": toron, "kyros": kyros}
