"""The followers table: everybody who follows, and for a while the places of those who lost their connection.

Followers lie in a few partitions that are read as they are now: who has just subscribed is told of the very next event.
"""

import asyncio
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quintet.settings import settings
from quintet.sockets.following.model import REMEMBERED, Follower, Reserved
from quintet.sockets.model import LONGEST
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis

_PARTS = 4
_SLACK = timedelta(minutes=10)


async def put(follower: Follower, now: datetime) -> None:
    """Whoever holds it goes on holding it."""
    fields = {
        "principal": follower.principal,
        "account": follower.account,
        "permissions": sorted(follower.permissions),
        "events": sorted(follower.events),
        "tasks": sorted(follower.tasks),
        "resources": sorted(follower.resources),
        "seen": follower.cursor,
        "named_at": None if follower.named_at is None else millis(follower.named_at),
        "ends_at": None if follower.ends_at is None else millis(follower.ends_at),
        "expires_at": _forgotten_at(now),
    }
    request = {
        "TableName": _table(),
        "Key": _key(_place(follower.connection_id)),
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in fields),
        "ExpressionAttributeNames": {f"#{name}": name for name in fields},
        "ExpressionAttributeValues": wire.to_item({f":{name}": value for name, value in fields.items()}),
    }
    await wire.call("UpdateItem", request, idempotent=True)


async def find(connection_id: str) -> Follower | None:
    request = {"TableName": _table(), "Key": _key(_place(connection_id)), "ConsistentRead": True}
    row = wire.from_item((await wire.call("GetItem", request)).get("Item", {}))
    return _follower(row) if "events" in row else None


async def everyone() -> list[Follower]:
    parts = await asyncio.gather(*(_part(part) for part in range(_PARTS)))
    return [follower for part in parts for follower in part]


async def claim(connection_id: str, by: str, now: datetime, until: datetime) -> Follower | None:
    """The right to tell this follower, until it is given up or `until`. None: another has it, or nobody follows."""
    row = await _hold(connection_id, by, now, until, condition="attribute_exists(events)")
    return None if row is None else _follower(row)


async def reserve(connection_id: str, by: str, now: datetime, until: datetime) -> Reserved | None:
    """The same right also where nobody follows yet. None: another has it."""
    row = await _hold(connection_id, by, now, until, more=", expires_at = :expires", expires=_forgotten_at(now))
    return None if row is None else Reserved(_follower(row) if "events" in row else None)


async def advance(connection_id: str, by: str, cursor: int) -> None:
    """What was told is noted, and the right to tell given up. Who holds it no longer, or is gone, changes nothing."""
    await _let_go(connection_id, by, "SET seen = :cursor REMOVE", cursor=cursor)


async def release(connection_id: str, by: str) -> None:
    await _let_go(connection_id, by, "REMOVE")


async def remove(connection_id: str) -> Follower | None:
    """What it was, if it was there."""
    request = {"TableName": _table(), "Key": _key(_place(connection_id)), "ReturnValues": "ALL_OLD"}
    row = wire.from_item((await wire.call("DeleteItem", request, idempotent=True)).get("Attributes") or {})
    return _follower(row) if "events" in row else None


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


async def _hold(
    connection_id: str, by: str, now: datetime, until: datetime, *, more: str = "", condition: str = "", **values: int
) -> dict[str, Any] | None:
    free = "(attribute_not_exists(claimed_until) OR claimed_until < :now)"
    given = {"by": by, "until": millis(until), "now": millis(now), **values}
    request = {
        "TableName": _table(),
        "Key": _key(_place(connection_id)),
        "UpdateExpression": "SET claimed_until = :until, claimed_by = :by" + more,
        "ConditionExpression": " AND ".join(filter(None, (condition, free))),
        "ExpressionAttributeValues": wire.to_item({f":{name}": value for name, value in given.items()}),
        "ReturnValues": "ALL_NEW",
    }
    try:
        answer = await wire.call("UpdateItem", request)
    except wire.WireError as error:
        if error.unmet:
            return None
        raise
    return wire.from_item(answer["Attributes"])


async def _let_go(connection_id: str, by: str, change: str, **values: int) -> None:
    request = {
        "TableName": _table(),
        "Key": _key(_place(connection_id)),
        "UpdateExpression": f"{change} claimed_until, claimed_by",
        "ConditionExpression": "claimed_by = :by",
        "ExpressionAttributeValues": wire.to_item({f":{name}": value for name, value in {"by": by, **values}.items()}),
    }
    try:
        await wire.call("UpdateItem", request, idempotent=True)
    except wire.WireError as error:
        if not error.unmet:
            raise


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
        rows = [wire.from_item(item) for item in answer["Items"]]
        found += [_follower(row) for row in rows if "events" in row]
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


def _forgotten_at(now: datetime) -> int:
    return epoch(now + LONGEST + _SLACK)


def _moment(number: int | None) -> datetime | None:
    return None if number is None else from_millis(int(number))


def _table() -> str:
    return settings().table("followers")
