"""Endpoints: all in one partition, so that whoever has just made one is told of the very next event."""

from collections.abc import Mapping
from typing import Any

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.transactions import TransactWrite

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import from_millis, millis
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together
from quintet.webhooks.model import Endpoint, Status
from quintet.webhooks.shapes import ENDPOINT

_ALL = "endpoints"


class EndpointItem(Table):
    shape = ENDPOINT

    class Meta:
        table_name = TableName("webhooks")

    pk = UnicodeAttribute(hash_key=True, default=_ALL)
    id = UnicodeAttribute(range_key=True)
    owner = UnicodeAttribute()
    account = UnicodeAttribute()
    permissions = ListAttribute[str]()
    url = UnicodeAttribute()
    events = ListAttribute[str]()
    description = UnicodeAttribute(null=True)
    status = UnicodeAttribute()
    reason = UnicodeAttribute(null=True)
    secret = UnicodeAttribute()
    previous_secret = UnicodeAttribute(null=True)
    previous_until = NumberAttribute(null=True)
    created_at = NumberAttribute()
    updated_at = NumberAttribute()
    version = NumberAttribute()


def add(endpoint: Endpoint, *also: Write) -> None:
    item = _item(endpoint)
    write_together([lambda tx: tx.save(item, condition=EndpointItem.pk.does_not_exist()), *also])


def change(after: Endpoint, *also: Write) -> None:
    """Raises Unmet when somebody else has changed it since it was read."""
    item = _item(after)
    write_together([lambda tx: tx.save(item, condition=EndpointItem.version == after.version - 1), *also])


def remove(endpoint: Endpoint, *also: Write) -> None:
    """Raises Unmet when somebody else has changed it since it was read."""

    def write(transaction: TransactWrite) -> None:
        transaction.delete(EndpointItem(_ALL, endpoint.id), condition=EndpointItem.version == endpoint.version)

    write_together([write, *also])


async def find(endpoint_id: str) -> Endpoint | None:
    answer = await wire.call(
        "GetItem",
        {
            "TableName": settings().table("webhooks"),
            "Key": {"pk": {"S": _ALL}, "id": {"S": endpoint_id}},
            "ConsistentRead": True,
        },
    )
    return _endpoint(ENDPOINT.row(answer["Item"])) if "Item" in answer else None


async def everyone() -> list[Endpoint]:
    """Newest first, as of now."""
    found: list[Endpoint] = []
    start: Any = None
    while True:
        request: dict[str, Any] = {
            "TableName": settings().table("webhooks"),
            "KeyConditionExpression": "pk = :all",
            "ExpressionAttributeValues": {":all": {"S": _ALL}},
            "ConsistentRead": True,
            "ScanIndexForward": False,
        }
        answer = await wire.call("Query", {**request, "ExclusiveStartKey": start} if start else request)
        found += [_endpoint(ENDPOINT.row(item)) for item in answer["Items"]]
        start = answer.get("LastEvaluatedKey")
        if start is None:
            return found


def _item(endpoint: Endpoint) -> EndpointItem:
    return EndpointItem(
        id=endpoint.id,
        owner=endpoint.owner,
        account=endpoint.account,
        permissions=sorted(endpoint.permissions),
        url=endpoint.url,
        events=list(endpoint.events),
        description=endpoint.description or None,
        status=endpoint.status.value,
        reason=endpoint.reason or None,
        secret=endpoint.secret,
        previous_secret=endpoint.previous_secret or None,
        previous_until=millis(endpoint.previous_until) if endpoint.previous_until else None,
        created_at=millis(endpoint.created_at),
        updated_at=millis(endpoint.updated_at),
        version=endpoint.version,
    )


def _endpoint(row: Mapping[str, Any]) -> Endpoint:
    until = row.get("previous_until")
    return Endpoint(
        id=row["id"],
        owner=row["owner"],
        account=row["account"],
        permissions=frozenset(row["permissions"]),
        url=row["url"],
        events=tuple(row["events"]),
        secret=row["secret"],
        created_at=from_millis(row["created_at"]),
        updated_at=from_millis(row["updated_at"]),
        description=row.get("description", ""),
        status=Status(row["status"]),
        reason=row.get("reason", ""),
        previous_secret=row.get("previous_secret", ""),
        previous_until=None if until is None else from_millis(until),
        version=row["version"],
    )
