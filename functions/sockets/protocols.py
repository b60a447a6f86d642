"""The protocols by name. Each imports its room when it is first spoken: no message pays for another one's code."""

from collections.abc import Mapping
from functools import partial

from quintet.sockets.dispatch import Make
from quintet.sockets.model import SocketProtocol
from sockets.services import connections, door, messages, poster, stay


def toron() -> SocketProtocol:
    from quintet.ask.asking import Asking
    from quintet.ask.shown import Shown
    from quintet.ask.socket import Prompts
    from quintet.gateway.live import gateway, views

    shown = Shown(lambda: views().current(), connections)
    return Prompts(Asking(gateway, shown), poster, connections, messages, stay)


def kyros() -> SocketProtocol:
    from sockets.following import following

    return following()


def elevenlabs() -> SocketProtocol:
    from sockets.voices import voices

    return voices()


def cyborgmind() -> SocketProtocol:
    """Made when the first client of this instance connects: numpy and the ONNX runtime come with it."""
    from quintet.policy.live import stepping
    from quintet.policy.streaming import Stream
    from quintet.telemetry.requests import record

    return Stream(stepping, poster, door.authenticate, partial(door.readmit, caller=None), record)


PROTOCOLS: Mapping[str, Make] = {"toron": toron, "elevenlabs": elevenlabs, "kyros": kyros, "cyborgmind": cyborgmind}
