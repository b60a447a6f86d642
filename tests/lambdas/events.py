"""Functions that take events."""

from quintet.telemetry.lambdas import consume

import asyncio
import logging
from typing import Any

log = logging.getLogger("quintet.events")


class NoSuchTask(Exception):  # noqa: N818 - a name that a state machine catches
    pass


@consume
def handler(event: Any) -> Any:
    log.info("taken")
    if "fail" in event:
        raise NoSuchTask(event["fail"])
    return {"taken": event}


@consume
async def later(event: Any) -> Any:
    await asyncio.sleep(0)
    return {"taken later": event}
