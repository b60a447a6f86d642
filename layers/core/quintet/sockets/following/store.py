"""The followers table: everybody who follows, and for a while the places of those who lost their connection.

Followers lie in a few partitions that are read as they are now: who has just subscribed is told of the very next event.
"""

import asyncio
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quintet.settings import settings
from quintet.sockets.following.model import REMEMBERED, Follower
from quintet.sockets.model import LONGEST
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis

_PARTS = 4
_SLACK = timedelta(minutes=10)


async def put(follower: Follower, now: datetime) -> None:
    row = {
        **_place(follower.connection_id),
        "principal": follower.principal,
        "account": follower.account,
        "permissions": sorted(follower.permissions),
        "events": sorted(follower.events),
        "tasks": sorted(follower.tasks),
        "resources": sorted(follower.resources),
        "seen": follower.cursor,
        "named_at": None if follower.named_at is None else millis(follower.named_at),
        "ends_at": None if follower.ends_at is None else millis(follower.ends_at),
        "expires_at": epoch(now + LONGEST + _SLACK),
    }
    await wire.call("PutItem", {"TableName": _table(), "Item": wire.to_item(row)}, idempotent=True)


async def find(connection_id: str) -> Follower | None:
    request = {"TableName": _table(), "Key": _key(_place(connection_id)), "ConsistentRead": True}
    item = (await wire.call("GetItem", request)).get("Item")
    return None if item is None else _follower(wire.from_item(item))


async def everyone() -> list[Follower]:
    parts = await asyncio.gather(*(_part(part) for part in range(_PARTS)))
    return [follower for part in parts for follower in part]


async def claim(connection_id: str, now: datetime, until: datetime) -> Follower | None:
    """The right to tell this follower, until it is given up or `until`. None: another has it, or it is gone."""
    request = {
        "TableName": _table(),
        "Key": _key(_place(connection_id)),
        "UpdateExpression": "SET claimed_until = :until",
        "ConditionExpression": (
            "attribute_exists(pk) AND (attribute_not_exists(claimed_until) OR claimed_until < :now)"
        ),
        "ExpressionAttributeValues": wire.to_item({":until": millis(until), ":now": millis(now)}),
        "ReturnValues": "ALL_NEW",
    }
    try:
        answer = await wire.call("UpdateItem", request)
    except wire.WireError as error:
        if error.unmet:
            return None
        raise
    return _follower(wire.from_item(answer["Attributes"]))


async def advance(connection_id: str, cursor: int, *, release: bool) -> None:
    """One that is gone stays gone."""
    request = {
        "TableName": _table(),
        "Key": _key(_place(connection_id)),
        "UpdateExpression": "SET seen = :cursor" + (" REMOVE claimed_until" if release else ""),
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": wire.to_item({":cursor": cursor}),
    }
    try:
        await wire.call("UpdateItem", request, idempotent=True)
    except wire.WireError as error:
        if not error.unmet:
            raise


async def remove(connection_id: str) -> Follower | None:
    """What it was, if it was there."""
    request = {"TableName": _table(), "Key": _key(_place(connection_id)), "ReturnValues": "ALL_OLD"}
    item = (await wire.call("DeleteItem", request, idempotent=True)).get("Attributes")
    return None if not item else _follower(wire.from_item(item))


async def leave_place(follower: Follower, now: datetime) -> None:
    row = {
        "pk": f"place#{follower.ticket}",
        "sk": follower.connection_id,
        "seen": follower.cursor,
        "until": millis(now + REMEMBERED),
        "expires_at": epoch(now + REMEMBERED),
    }
    await wire.call("PutItem", {"TableName": _table(), "Item": wire.to_item(row)}, idempotent=True)


async def take_place(ticket: str, now: datetime) -> int | None:
    """The oldest place in the log that somebody with this ticket has left; each is taken once."""
    request = {
        "TableName": _table(),
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": wire.to_item({":pk": f"place#{ticket}"}),
        "ConsistentRead": True,
    }
    rows = [wire.from_item(item) for item in (await wire.call("Query", request))["Items"]]
    for row in sorted(rows, key=lambda each: int(each["seen"])):
        taken = await wire.call("DeleteItem", {"TableName": _table(), "Key": _key(row), "ReturnValues": "ALL_OLD"})
        if taken.get("Attributes") and row["until"] >= millis(now):
            return int(row["seen"])
    return None


async def _part(part: int) -> list[Follower]:
    found: list[Follower] = []
    start: Any = None
    while True:
        request: dict[str, Any] = {
            "TableName": _table(),
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": wire.to_item({":pk": f"following#{part}"}),
            "ConsistentRead": True,
        }
        answer = await wire.call("Query", {**request, "ExclusiveStartKey": start} if start else request)
        found += [_follower(wire.from_item(item)) for item in answer["Items"]]
        start = answer.get("LastEvaluatedKey")
        if start is None:
            return found


def _place(connection_id: str) -> dict[str, str]:
    return {"pk": f"following#{zlib.crc32(connection_id.encode()) % _PARTS}", "sk": connection_id}


def _key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"pk": {"S": row["pk"]}, "sk": {"S": row["sk"]}}


def _follower(row: Mapping[str, Any]) -> Follower:
    return Follower(
        connection_id=row["sk"],
        principal=row["principal"],
        account=row["account"],
        permissions=frozenset(row["permissions"]),
        events=frozenset(row["events"]),
        cursor=row["seen"],
        tasks=frozenset(row["tasks"]),
        resources=frozenset(row["resources"]),
        named_at=_moment(row.get("named_at")),
        ends_at=_moment(row.get("ends_at")),
    )


def _moment(number: int | None) -> datetime | None:
    return None if number is None else from_millis(int(number))


def _table() -> str:
    return settings().table("followers")
