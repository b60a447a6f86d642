"""The replays table: the nonces of the last day."""

from datetime import datetime

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch
from quintet.store.items import to_item


async def first(mark: str, until: datetime) -> bool:
    """A lost answer may make the first one look like the second: that request is refused, and none is served twice."""
    try:
        await wire.call(
            "PutItem",
            {
                "TableName": settings().table("replays"),
                "Item": to_item({"id": mark, "expires_at": epoch(until)}),
                "ConditionExpression": "attribute_not_exists(id)",
            },
            idempotent=False,
        )
    except wire.WireError as error:
        if error.unmet:
            return False
        raise
    return True
