"""The steps of the state machines."""

from quintet.telemetry.lambdas import consume

from typing import Any


@consume
def handler(event: dict[str, Any]) -> dict[str, Any]:
    return event
