"""Deliveries: a row per event and endpoint, which keeps its whole story."""

import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis
from quintet.webhooks.model import Attempt, Delivery, Standing
from quintet.webhooks.shapes import DELIVERY

DUE_SHARDS = 8
_LEASE = timedelta(seconds=45)


async def add(delivery: Delivery) -> bool:
    """Whether it is new: an event that is told again has its delivery already."""
    request = {
        "TableName": _table(),
        "Item": DELIVERY.item(_row(delivery)),
        "ConditionExpression": "attribute_not_exists(endpoint_id)",
    }
    return await _met("PutItem", request)


async def find(endpoint_id: str, delivery_id: str) -> Delivery | None:
    request = {"TableName": _table(), "Key": _key(endpoint_id, delivery_id), "ConsistentRead": True}
    item = (await wire.call("GetItem", request)).get("Item")
    return None if item is None else _delivery(DELIVERY.row(item))


async def claim(delivery: Delivery, now: datetime) -> bool:
    """Whether it is ours to attempt now: of two that try, one does, unless that one dies."""
    request = {
        "TableName": _table(),
        "Key": _key(delivery.endpoint_id, delivery.id),
        "UpdateExpression": "SET leased_until = :until",
        "ConditionExpression": (
            "standing = :pending AND tried = :tried AND (attribute_not_exists(leased_until) OR leased_until < :now)"
        ),
        "ExpressionAttributeValues": wire.to_item(
            {
                ":until": millis(now + _LEASE),
                ":now": millis(now),
                ":pending": Standing.PENDING.value,
                ":tried": delivery.tried,
            }
        ),
    }
    return await _met("UpdateItem", request)


async def give_back(delivery: Delivery, next_at: datetime) -> None:
    """It was claimed, and not attempted after all."""
    await _update(delivery, {"next_at": millis(next_at)}, "REMOVE leased_until", "attribute_exists(id)")


async def record(delivery: Delivery) -> None:
    """After an attempt. What has come to its end meanwhile, by another's hand, stays so."""
    row = _row(delivery)
    changed = {name: row[name] for name in ("standing", "tried", "attempts", "next_at")}
    done = delivery.standing is not Standing.PENDING
    remove = "REMOVE leased_until, due" if done else "REMOVE leased_until"
    await _update(delivery, changed, remove, "standing = :pending", {":pending": Standing.PENDING.value})


async def ask_again(delivery: Delivery, now: datetime) -> bool:
    """A replay: pending anew, with its story. False while it is being attempted: that is an answer to the wish too."""
    changed = {
        "standing": Standing.PENDING.value,
        "tried": 0,
        "asked_at": millis(now),
        "next_at": millis(now),
        "due": _due(delivery),
    }
    free = "attribute_exists(id) AND (attribute_not_exists(leased_until) OR leased_until < :free)"
    return await _update(delivery, changed, "REMOVE leased_until", free, {":free": millis(now)})


@dataclass(frozen=True, slots=True)
class Page:
    items: list[Delivery]
    after: str | None


async def page(endpoint_id: str, limit: int, after: str | None = None, standing: Standing | None = None) -> Page:
    """Newest first. With a standing, only those: the page may then be read over several reads."""
    found: list[Delivery] = []
    while True:
        key = "endpoint_id = :endpoint AND id < :after" if after else "endpoint_id = :endpoint"
        values: dict[str, Any] = {":endpoint": endpoint_id}
        if after:
            values[":after"] = after
        if standing:
            values[":standing"] = standing.value
        request = {
            "TableName": _table(),
            "KeyConditionExpression": key,
            "ExpressionAttributeValues": wire.to_item(values),
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": limit + 1 if not standing else max(100, limit + 1),
            **({"FilterExpression": "standing = :standing"} if standing else {}),
        }
        answer = await wire.call("Query", request)
        found += [_delivery(DELIVERY.row(item)) for item in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        if len(found) > limit:
            return Page(found[:limit], found[limit - 1].id)
        if last is None:
            return Page(found, None)
        after = last["id"]["S"]


async def overdue(shard: int, before: datetime, limit: int = 1000) -> AsyncIterator[list[tuple[str, str]]]:
    """Endpoint and id of pending deliveries whose time was before `before`: whoever was to try them is gone.

    The longest overdue first, by pages, about `limit` at the most.
    """
    start: Any = None
    while limit > 0:
        request: dict[str, Any] = {
            "TableName": _table(),
            "IndexName": "due",
            "KeyConditionExpression": "due = :shard AND next_at < :before",
            "ExpressionAttributeValues": wire.to_item({":shard": f"{shard}", ":before": millis(before)}),
            "Limit": min(100, limit),
        }
        answer = await wire.call("Query", {**request, "ExclusiveStartKey": start} if start else request)
        rows = [wire.from_item(item) for item in answer["Items"]]
        yield [(row["endpoint_id"], row["id"]) for row in rows]
        limit -= len(rows)
        start = answer.get("LastEvaluatedKey")
        if start is None:
            return


async def _update(
    delivery: Delivery, changed: Mapping[str, Any], more: str, condition: str, known: Mapping[str, Any] | None = None
) -> bool:
    """Whether the condition held. Written twice is written once, but for the answer."""
    names = {f"#{number}": name for number, name in enumerate(changed)}
    values = {f":{number}": value for number, value in enumerate(changed.values())}
    sets = ", ".join(f"#{number} = :{number}" for number in range(len(changed)))
    request = {
        "TableName": _table(),
        "Key": _key(delivery.endpoint_id, delivery.id),
        "UpdateExpression": f"SET {sets} {more}",
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": wire.to_item({**values, **(known or {})}),
    }
    return await _met("UpdateItem", request, idempotent=True)


async def _met(operation: str, request: Mapping[str, Any], *, idempotent: bool = False) -> bool:
    try:
        await wire.call(operation, request, idempotent=idempotent)
    except wire.WireError as error:
        if error.unmet:
            return False
        raise
    return True


def _row(delivery: Delivery) -> dict[str, Any]:
    row = {
        "endpoint_id": delivery.endpoint_id,
        "id": delivery.id,
        "event_id": delivery.event_id,
        "seq": delivery.seq,
        "type": delivery.type,
        "body": delivery.body,
        "created_at": millis(delivery.created_at),
        "asked_at": millis(delivery.asked_at),
        "next_at": millis(delivery.next_at),
        "standing": delivery.standing.value,
        "tried": delivery.tried,
        "attempts": [
            {"at": millis(each.at), "ms": each.latency_ms, "status": each.status, "error": each.error}
            for each in delivery.attempts
        ],
        "expires_at": epoch(delivery.created_at + timedelta(days=settings().webhook_log_days)),
    }
    return {**row, "due": _due(delivery)} if delivery.standing is Standing.PENDING else row


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        id=row["id"],
        endpoint_id=row["endpoint_id"],
        event_id=row["event_id"],
        seq=row["seq"],
        type=row["type"],
        body=row["body"],
        created_at=from_millis(row["created_at"]),
        asked_at=from_millis(row["asked_at"]),
        next_at=from_millis(row["next_at"]),
        standing=Standing(row["standing"]),
        tried=row["tried"],
        attempts=tuple(
            Attempt(from_millis(each["at"]), each["ms"], each["status"], each["error"]) for each in row["attempts"]
        ),
    )


def _due(delivery: Delivery) -> str:
    return str(zlib.crc32(delivery.endpoint_id.encode()) % DUE_SHARDS)


def _key(endpoint_id: str, delivery_id: str) -> dict[str, dict[str, str]]:
    return {"endpoint_id": {"S": endpoint_id}, "id": {"S": delivery_id}}


def _table() -> str:
    return settings().table("deliveries")
