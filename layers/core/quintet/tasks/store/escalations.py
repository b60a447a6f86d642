"""Escalations, in the tasks table and its lists, and how many there were of a day."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.expressions.update import Action

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, from_millis, millis, sortable
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Unmet, Write, write_together
from quintet.tasks.escalation import Escalation, Stage
from quintet.tasks.shapes import ESCALATION
from quintet.tasks.store.counts import read_all
from quintet.tasks.store.items import EscalationItem, RowItem

_PART = "escalation"
_MOMENTS = ("submitted_at", "expires_at", "decided_at")
_KEPT = timedelta(days=3)


class DayItem(Table):
    """How many were asked for on a day."""

    class Meta:
        table_name = TableName("tasks")

    id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    asked = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)


class TooMany(Exception):  # noqa: N818 - an outcome
    """The day's number is used up."""


class Taken(Exception):  # noqa: N818 - an outcome
    """There is one of this id already."""


async def find(escalation_id: str) -> Escalation | None:
    found = await _several([escalation_id])
    return found.get(escalation_id)


def add(escalation: Escalation, most_a_day: int, *also: Write) -> None:
    """Raises TooMany, or Taken. What the rules ask for by themselves takes nothing from what people may ask for."""
    whose = "rules#" if escalation.by_rule else ""
    day = DayItem(f"escalations#{whose}{escalation.submitted_at:%Y-%m-%d}", "asked")
    actions: list[Action] = [DayItem.asked.add(1), DayItem.expires_at.set(epoch(escalation.submitted_at + _KEPT))]
    left = DayItem.asked.does_not_exist() | (DayItem.asked < most_a_day)
    if most_a_day < 1:
        raise TooMany
    try:
        write_together(
            [
                lambda tx: tx.update(day, actions=actions, condition=left),
                lambda tx: tx.save(_item(escalation), condition=EscalationItem.id.does_not_exist()),
                *(_placed(row) for row in _rows(escalation)),
                *also,
            ]
        )
    except Unmet as unmet:
        raise (TooMany if unmet.index == 0 else Taken) from None


def change(before: Escalation, after: Escalation, *also: Write) -> None:
    """Raises Unmet(0) when somebody else has changed it since it was read."""
    gone, come = _rows(before) - _rows(after), _rows(after) - _rows(before)
    write_together(
        [
            lambda tx: tx.save(_item(after), condition=EscalationItem.rev == before.rev),
            *(_left(row) for row in gone),
            *(_placed(row) for row in come),
            *also,
        ]
    )


async def page(
    *,
    status: Stage | None,
    task_id: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    offset: int,
) -> tuple[list[Escalation], int]:
    """Newest first, and how many there are. A day has so few that their keys can be counted."""
    places: list[str] = []
    start: Any = None
    while True:
        answer = await wire.call(
            "Query",
            {
                "TableName": settings().table("task-lists"),
                "KeyConditionExpression": "#list = :list AND place BETWEEN :first AND :last",
                "ExpressionAttributeNames": {"#list": "list"},
                "ExpressionAttributeValues": wire.to_item(
                    {
                        ":list": _list(task_id, status),
                        ":first": sortable(millis(since)) if since else " ",
                        ":last": f"{sortable(millis(until))}~" if until else "~",
                    }
                ),
                "ScanIndexForward": False,
                "ConsistentRead": True,
                **({"ExclusiveStartKey": start} if start else {}),
            },
        )
        places += [item["place"]["S"] for item in answer["Items"]]
        start = answer.get("LastEvaluatedKey")
        if not start:
            break
    chosen = [place.partition("#")[2] for place in places[offset : offset + limit]]
    known: dict[str, Escalation] = {}
    for begin in range(0, len(chosen), 100):
        known |= await _several(chosen[begin : begin + 100])
    return [known[each] for each in chosen if each in known], len(places)


async def _several(ids: Sequence[str]) -> dict[str, Escalation]:
    keys = [wire.to_item({"id": each, "part": _PART}) for each in ids]
    items = map(ESCALATION.read, await read_all(settings().table("tasks"), keys))
    return {item["id"]: _escalation(item["id"], int(item["rev"]), json.loads(item["told"])) for item in items}


def _rows(escalation: Escalation) -> set[tuple[str, str]]:
    place = f"{sortable(millis(escalation.submitted_at))}#{escalation.id}"
    return {(_list(task, status), place) for task in (None, escalation.task_id) for status in (None, escalation.status)}


def _list(task_id: str | None, status: Stage | None) -> str:
    return f"escalations|{task_id or '*'}|{status or '*'}"


def _placed(row: tuple[str, str]) -> Write:
    item = RowItem(*row)
    return lambda tx: tx.save(item)


def _left(row: tuple[str, str]) -> Write:
    item = RowItem(*row)
    return lambda tx: tx.delete(item)


def _item(escalation: Escalation) -> EscalationItem:
    told = {
        name: millis(value) if isinstance(value := getattr(escalation, name), datetime) else value
        for name in Escalation.__slots__
        if name not in {"id", "rev"}
    }
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return EscalationItem(escalation.id, _PART, rev=escalation.rev, told=text)


def _escalation(identifier: str, rev: int, values: dict[str, Any]) -> Escalation:
    for name in _MOMENTS:
        if values[name] is not None:
            values[name] = from_millis(values[name])
    return Escalation(id=identifier, rev=rev, **values | {"status": Stage(values["status"])})
