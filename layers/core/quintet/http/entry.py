"""A function's way in from API Gateway: buffered when AWS's runtime calls it, streamed when ours does."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from mangum import Mangum
from mangum.handlers import APIGateway
from mangum.types import ASGI, LambdaConfig, Scope

from quintet.net.client import in_a_loop

Event = dict[str, Any]
_MANGUM = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])


class _Loop:
    """Closed when its thread ends and nobody else holds it; connections that it kept are hung up before."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __del__(self, _ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if _ending():
            return  # with the process everything goes
        if not in_a_loop():
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(asyncio.sleep(0))  # a transport closes its socket in the loop's next turn
        self.loop.close()


_kept = threading.local()


def kept_loop() -> asyncio.AbstractEventLoop:
    """One loop for all invocations of a thread, and Lambda has but one: connections that outlive one belong to it."""
    own: _Loop | None = getattr(_kept, "own", None)
    if own is None:
        own = _kept.own = _Loop()
    return own.loop


class Entry:
    """What a function's `handler` is: `app` for our runtime, the call for AWS's."""

    def __init__(self, app: ASGI) -> None:
        self.app = app
        self._buffered: Mangum | None = None

    def __call__(self, event: Event, context: Any) -> dict[str, Any]:
        asyncio.set_event_loop(kept_loop())  # Mangum runs the app on the thread's current loop
        if self._buffered is None:
            self._buffered = Mangum(self.app, lifespan="off")
        return self._buffered(event, context)


def is_request(event: Event) -> bool:
    """Whether API Gateway sent it from a REST API."""
    return isinstance(event, dict) and "httpMethod" in event and "requestContext" in event


def request_of(event: Event, context: Any) -> tuple[Scope, bytes]:
    """The same ASGI scope and body as the buffered way has."""
    request = APIGateway(event, context, _MANGUM)
    return request.scope, request.body
