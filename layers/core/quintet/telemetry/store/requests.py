"""The request log by the id that callers know."""

from collections.abc import Mapping
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.shapes import Row
from quintet.telemetry.shapes import RECORD


async def by_request(request_id: str, most: int = 10) -> list[Row]:
    """Newest first: a caller may have used an id of its own choosing more than once."""
    answer = await wire.call(
        "Query",
        {
            "TableName": settings().table("requests"),
            "IndexName": "by_request",
            "KeyConditionExpression": "request_id = :id",
            "ExpressionAttributeValues": {":id": {"S": request_id}},
            "ScanIndexForward": False,
            "Limit": most,
        },
    )
    return [RECORD.row(item) for item in answer["Items"]]


async def whole(found: Mapping[str, Any]) -> Row | None:
    """The record that an index, which holds keys alone, has named. None when it has expired since."""
    answer = await wire.call(
        "Query",
        {
            "TableName": settings().table("requests"),
            "KeyConditionExpression": "#bucket = :bucket AND record_id = :id",
            "ExpressionAttributeNames": {"#bucket": "bucket"},
            "ExpressionAttributeValues": wire.to_item({":bucket": found["bucket"], ":id": found["record_id"]}),
        },
    )
    return RECORD.row(answer["Items"][0]) if answer["Items"] else None
