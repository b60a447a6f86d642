"""The WebSocket API: whoever connects chooses a protocol, and its room does the rest."""

from quintet.telemetry.lambdas import consume

from functools import partial
from typing import Any

from quintet.sockets.dispatch import Dispatcher
from quintet.telemetry.requests import record
from sockets.charging import charge
from sockets.protocols import PROTOCOLS
from sockets.services import connections, door, poster

dispatch = Dispatcher(PROTOCOLS, connections, door, record, poster=poster)

_ROOMS = (
    "quintet.ask.socket",
    "quintet.policy.live",
    "quintet.policy.streaming",
    "sockets.following",
    "sockets.voices",
)


@partial(consume, later=_ROOMS)
async def handler(event: dict[str, Any]) -> dict[str, Any]:
    """API Gateway's events, and the queue's word that a connection's time to say who it is has come to its end."""
    if "Records" not in event:
        charge(event)
        return await dispatch(event)
    from sockets.following import following

    for message in event["Records"]:
        await following().curfew(message["body"])
    return {}
