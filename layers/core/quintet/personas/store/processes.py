"""The processes table: what personas do, and what it costs."""

from datetime import datetime
from typing import Any

from quintet.personas.model import Metrics, Process, Status
from quintet.personas.shapes import PROCESS
from quintet.personas.store import lists
from quintet.personas.store.rows import after, kept_until, metrics_row, place, process_of, process_row
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import millis
from quintet.store.pages import Page


async def begin(process: Process) -> bool:
    try:
        await wire.call(
            "PutItem",
            {
                "TableName": settings().table("processes"),
                "Item": PROCESS.item(process_row(process)),
                "ConditionExpression": "attribute_not_exists(id)",
            },
        )
    except wire.WireError as error:
        if error.unmet:
            return False
        raise
    return True


async def end(process_id: str, status: Status, metrics: Metrics, now: datetime) -> None:
    await wire.call("UpdateItem", closing(process_id, status, metrics, now))


async def get(process_id: str) -> Process | None:
    answer = await wire.call(
        "GetItem",
        {"TableName": settings().table("processes"), "Key": {"id": {"S": process_id}}, "ConsistentRead": True},
    )
    return process_of(PROCESS.row(answer["Item"])) if "Item" in answer else None


async def page(limit: int, cursor: str | None) -> Page[Process]:
    found = await lists.latest("processes", "listed", "begun", cursor=cursor, limit=limit)
    return Page([process_of(PROCESS.read(row)) for row in found.items], found.after)


async def count(now: datetime) -> int:
    return await lists.count("processes", "active", "alive", after(now))


def moving_on(process_id: str, metrics: Metrics, until: datetime) -> dict[str, Any]:
    """The update that tells of a turn."""
    return _update(process_id, metrics, until, {})


def closing(process_id: str, status: Status, metrics: Metrics, now: datetime) -> dict[str, Any]:
    return _update(process_id, metrics, now, {"status": status.value, "ended_at": millis(now)})


def _update(process_id: str, metrics: Metrics, until: datetime, more: dict[str, Any]) -> dict[str, Any]:
    values = {
        "active_until": millis(until),
        "alive": place(until, process_id),
        "expires_at": kept_until(until),
        **more,
    }
    added = {name: value for name, value in metrics_row(metrics).items() if value}
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    if added:
        change += " ADD " + ", ".join(f"#{name} :{name}" for name in added)
    both = {**values, **added}
    return {
        "TableName": settings().table("processes"),
        "Key": {"id": {"S": process_id}},
        "UpdateExpression": change,
        "ConditionExpression": "attribute_exists(id)",
        "ExpressionAttributeNames": {f"#{name}": name for name in both},
        "ExpressionAttributeValues": wire.to_item({f":{name}": value for name, value in both.items()}),
    }
