"""The connections table: one item per open WebSocket, gone when it closes and at the latest by its time to live."""

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from quintet.identity.model import Principal, PrincipalKind
from quintet.settings import settings
from quintet.sockets.model import LONGEST, Changed, Connection, Gone, check_attributes
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis
from quintet.store.items import from_item, to_item

_PARTS = 8  # of the index that counts: a partition takes 1,000 writes a second
_SLACK = timedelta(minutes=10)


async def open(connection: Connection) -> None:  # noqa: A001 - it is what happens
    await wire.call("PutItem", {"TableName": _table(), "Item": to_item(_row(connection))}, idempotent=True)


async def find(connection_id: str) -> Connection | None:
    row = await _read(connection_id)
    return _connection(row) if row else None


async def save(connection: Connection) -> Connection:
    check_attributes(connection)
    values = {":attributes": dict(connection.attributes), ":rev": connection.rev, ":next": connection.rev + 1}
    try:
        row = await _update(
            connection.id, "SET attributes = :attributes, rev = :next", to_item(values), condition="rev = :rev"
        )
    except wire.WireError as error:
        if error.unmet and error.item is not None:
            raise Changed from None
        raise
    return _connection(row)


async def name(connection_id: str, principal: Principal) -> None:
    """Who came in without a name has said who it is. Raises Gone."""
    await _update(connection_id, "SET principal = :principal", to_item({":principal": _told(principal)}))


async def remove(connection_id: str) -> None:
    await wire.call("DeleteItem", {"TableName": _table(), "Key": _key(connection_id)}, idempotent=True)


async def live(now: datetime) -> int:
    """Connections whose end nobody told of count until API Gateway must have closed them."""
    counts = await asyncio.gather(*(_count(part, now - LONGEST) for part in range(_PARTS)))
    return sum(counts)


async def line_up(connection_id: str, ticket: str, until: datetime) -> Mapping[str, datetime]:
    row = await _update(
        connection_id, "SET line.#ticket = :until", {":until": {"N": str(millis(until))}}, names={"#ticket": ticket}
    )
    return _line(row)


async def line(connection_id: str) -> Mapping[str, datetime]:
    row = await _read(connection_id)
    if not row:
        raise Gone
    return _line(row)


async def leave_line(connection_id: str, ticket: str) -> None:
    with suppress(Gone):  # and with it its line
        await _update(connection_id, "REMOVE line.#ticket", {}, names={"#ticket": ticket})


async def _read(connection_id: str) -> dict[str, Any]:
    answer = await wire.call("GetItem", {"TableName": _table(), "Key": _key(connection_id), "ConsistentRead": True})
    return from_item(answer.get("Item", {}))


async def _update(
    connection_id: str,
    change: str,
    values: Mapping[str, Any],
    *,
    names: Mapping[str, str] | None = None,
    condition: str = "",
) -> dict[str, Any]:
    """The item as it is then. Raises Gone when there is none."""
    request: dict[str, Any] = {
        "TableName": _table(),
        "Key": _key(connection_id),
        "UpdateExpression": change,
        "ConditionExpression": " AND ".join(filter(None, ("attribute_exists(id)", condition))),
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if values:
        request["ExpressionAttributeValues"] = values
    if names:
        request["ExpressionAttributeNames"] = names
    try:
        answer = await wire.call("UpdateItem", request)
    except wire.WireError as error:
        if error.unmet and error.item is None:
            raise Gone from None
        raise
    return from_item(answer["Attributes"])


async def _count(part: int, since: datetime) -> int:
    counted, start = 0, None
    while True:
        request = {
            "TableName": _table(),
            "IndexName": "live",
            "Select": "COUNT",
            "KeyConditionExpression": "part = :part AND connected_at > :since",
            "ExpressionAttributeValues": to_item({":part": part, ":since": millis(since)}),
        }
        answer = await wire.call("Query", request | ({"ExclusiveStartKey": start} if start else {}))
        counted += int(answer["Count"])
        start = answer.get("LastEvaluatedKey")
        if start is None:
            return counted


def _table() -> str:
    return settings().table("connections")


def _key(connection_id: str) -> dict[str, Any]:
    return {"id": {"S": connection_id}}


def _row(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "protocol": connection.protocol,
        "principal": _told(connection.principal) if connection.principal else None,
        "connected_at": millis(connection.connected_at),
        "ip": connection.ip,
        "host": connection.host,
        "attributes": dict(connection.attributes),
        "rev": connection.rev,
        "line": {},
        "part": zlib.crc32(connection.id.encode()) % _PARTS,
        "expires_at": epoch(connection.connected_at + LONGEST + _SLACK),
    }


def _connection(row: Mapping[str, Any]) -> Connection:
    return Connection(
        id=row["id"],
        protocol=row["protocol"],
        principal=_principal(row["principal"]) if row["principal"] else None,
        connected_at=from_millis(row["connected_at"]),
        ip=row["ip"],
        host=row["host"],
        attributes=row["attributes"],
        rev=row["rev"],
    )


def _line(row: Mapping[str, Any]) -> dict[str, datetime]:
    return {ticket: from_millis(until) for ticket, until in row["line"].items()}


def _told(principal: Principal) -> dict[str, Any]:
    return {
        "id": principal.id,
        "kind": principal.kind.value,
        "account": principal.account,
        "permissions": sorted(principal.permissions),
        "roles": list(principal.roles),
        "scopes": list(principal.scopes),
        "key_id": principal.key_id,
        "session_id": principal.session_id,
        "name": principal.name,
        "email": principal.email,
        "expires_at": millis(principal.expires_at) if principal.expires_at else None,
        "rev": principal.rev,
        "ordered_by": principal.ordered_by,
    }


def _principal(told: Mapping[str, Any]) -> Principal:
    return Principal(
        id=told["id"],
        kind=PrincipalKind(told["kind"]),
        account=told["account"],
        permissions=frozenset(told["permissions"]),
        roles=tuple(told["roles"]),
        scopes=tuple(told["scopes"]),
        key_id=told["key_id"],
        session_id=told["session_id"],
        name=told["name"],
        email=told["email"],
        expires_at=None if told["expires_at"] is None else from_millis(told["expires_at"]),
        rev=told["rev"],
        ordered_by=told.get("ordered_by"),
    )
