"""A function that leaves work for after its answer, and says how it stands with it."""

from quintet.telemetry.lambdas import consume

import asyncio
from typing import Any

from quintet.http.afterwards import afterwards

done: list[str] = []


async def _work(name: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    if name == "broken":
        raise LookupError(name)
    done.append(name)


@consume
async def handler(event: dict[str, Any]) -> Any:
    if "ask" in event:
        return done
    for name in event["leave"]:
        await afterwards.leave(_work(name, event["seconds"]))
    if event.get("fail"):
        raise LookupError("not now")
    return "answered"
