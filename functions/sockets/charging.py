"""What API Gateway charges for a WebSocket: its messages by size, and the minutes that it was open."""

import time
from typing import Any

from quintet.store.meter import used

_BYTES = 32 << 10


def charge(event: dict[str, Any]) -> None:
    context = event.get("requestContext", {})
    match context.get("eventType"):
        case "MESSAGE":
            size = len(str(event.get("body") or "").encode(errors="replace"))
            used("websocket_message", max(1, -(-size // _BYTES)))
        case "DISCONNECT" if context.get("connectedAt"):
            minutes = (time.time() - float(context["connectedAt"]) / 1000) / 60
            used("websocket_minute", max(1.0, minutes))
