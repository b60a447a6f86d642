"""An endpoint's gate: one small item, written by the attempts at this endpoint alone."""

from quintet.settings import settings
from quintet.store import wire
from quintet.webhooks.gate import Gate, forgiven

_PLACE = "gate"


async def read(endpoint_id: str) -> Gate:
    request = {"TableName": settings().table("webhooks"), "Key": _key(endpoint_id), "ConsistentRead": True}
    item = (await wire.call("GetItem", request)).get("Item")
    if item is None:
        return Gate()
    row = wire.from_item(item)
    return Gate(
        sent=tuple(row["sent"]),
        slot=row["slot"],
        flying=row["flying"],
        failures=row["failures"],
        closed_until=row["closed_until"],
        failing_since=row["failing_since"],
        last_triggered=row["last_triggered"],
        version=row["version"],
    )


async def write(endpoint_id: str, gate: Gate) -> bool:
    """Whether nobody has written since `gate` was read: whoever was too late reads again."""
    row = {
        "sent": list(gate.sent),
        "slot": gate.slot,
        "flying": dict(gate.flying),
        "failures": gate.failures,
        "closed_until": gate.closed_until,
        "failing_since": gate.failing_since,
        "last_triggered": gate.last_triggered,
        "version": gate.version + 1,
    }
    first = {"ConditionExpression": "attribute_not_exists(pk)"}
    later = {
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(gate.version)}},
    }
    item = {**_key(endpoint_id), **wire.to_item(row)}
    request = {"TableName": settings().table("webhooks"), "Item": item, **(later if gate.version else first)}
    try:
        await wire.call("PutItem", request)
    except wire.WireError as error:
        if error.unmet:
            return False
        raise
    return True


async def forgive(endpoint_id: str) -> None:
    """Its owner has mended it."""
    while True:
        known = await read(endpoint_id)
        if not known.version or await write(endpoint_id, forgiven(known)):
            return


async def remove(endpoint_id: str) -> None:
    request = {"TableName": settings().table("webhooks"), "Key": _key(endpoint_id)}
    await wire.call("DeleteItem", request, idempotent=True)


def _key(endpoint_id: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"gate#{endpoint_id}"}, "id": {"S": _PLACE}}
