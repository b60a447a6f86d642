"""When life began, and when it last beat."""

from datetime import datetime
from typing import Any

from quintet.personas.life.pulse import Beat
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import from_millis, millis


async def read(now: datetime) -> Beat:
    """Whoever looks first says when it all began."""
    return await _update("SET since = if_not_exists(since, :now)", now)


async def beat(now: datetime) -> Beat:
    return await _update("SET since = if_not_exists(since, :now), ticked = :now", now)


async def _update(change: str, now: datetime) -> Beat:
    answer: dict[str, Any] = await wire.call(
        "UpdateItem",
        {
            "TableName": settings().table("personas"),
            "Key": wire.to_item({"pk": "life", "sk": "pulse"}),
            "UpdateExpression": change,
            "ExpressionAttributeValues": wire.to_item({":now": millis(now)}),
            "ReturnValues": "ALL_NEW",
        },
        idempotent=True,
    )
    row = wire.from_item(answer["Attributes"])
    return Beat(from_millis(row["since"]), from_millis(row["ticked"]) if "ticked" in row else None)
