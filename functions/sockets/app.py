"""The WebSocket API: whoever connects chooses a protocol, and its room does the rest."""

from quintet.telemetry.lambdas import consume

from typing import Any

from quintet.sockets.dispatch import Dispatcher
from quintet.telemetry.requests import record
from sockets.protocols import PROTOCOLS
from sockets.services import connections, door

dispatch = Dispatcher(PROTOCOLS, connections, door, record)


@consume
async def handler(event: dict[str, Any]) -> dict[str, Any]:
    return await dispatch(event)
