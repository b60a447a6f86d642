"""Records, in the request log, of calls whose process died before it could write one."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, millis
from quintet.store.ids import id_of
from quintet.store.items import to_item
from quintet.telemetry.requests import bucket_of
from quintet.telemetry.shapes import RECORD


async def add(call: Mapping[str, Any], at: datetime, account: str) -> None:
    """Under an id that the call's own id decides: there is one, whoever finds the call."""
    record_id = _record_id(call["call_id"], at)
    record = {
        "bucket": bucket_of(record_id),
        "record_id": record_id,
        "request_id": call["call_id"],
        "at": millis(at),
        "group": "gateway",
        "method": "CALL",
        "route": "abandoned",
        "status": 500,
        "principal": call.get("principal", account),
        "key_id": call.get("key_id"),
        "failure": "internal",
        "facts": {"calls": [dict(call)]},
        "expires_at": epoch(at + timedelta(days=settings().request_log_days)),
    }
    await _write(
        "PutItem",
        {
            "Item": RECORD.item({name: value for name, value in record.items() if value is not None}),
            "ConditionExpression": "attribute_not_exists(record_id)",
        },
    )


async def amend(call_id: str, at: datetime, cost: int) -> None:
    record_id = _record_id(call_id, at)
    await _write(
        "UpdateItem",
        {
            "Key": to_item({"bucket": bucket_of(record_id), "record_id": record_id}),
            "UpdateExpression": "SET facts.calls[0].cost = facts.calls[0].cost - :cost, amended = :cost",
            "ConditionExpression": "attribute_exists(record_id) AND attribute_not_exists(amended)",
            "ExpressionAttributeValues": to_item({":cost": cost}),
        },
    )


async def _write(operation: str, request: Mapping[str, Any]) -> None:
    try:
        await wire.call(operation, {"TableName": settings().table("requests"), **request}, idempotent=True)
    except wire.WireError as error:
        if not error.unmet:
            raise


def _record_id(call_id: str, at: datetime) -> str:
    return id_of("rec", at, call_id)
