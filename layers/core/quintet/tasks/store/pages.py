"""Pages of lists: keys are read in the order of the list, then the tasks of the page and nothing else."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quintet.errors import Failure, Kind
from quintet.settings import settings
from quintet.store import wire
from quintet.tasks.model import Filters, Order, SortBy, Summary
from quintet.tasks.shapes import HEAD
from quintet.tasks.store import counts
from quintet.tasks.store.listing import WHOLE, Entry, Read, Segment, entry_at, plan_of, sort_key, task_at
from quintet.tasks.store.rows import summaries_of
from quintet.tasks.store.tasks import head_key, read_parts

_FIRST, _MOST = 100, 1000  # rows of a request, where it is not known how many it will take


@dataclass(frozen=True, slots=True)
class Listed:
    """`total` counts all that fit; `after` is where the next page begins, None when there is none."""

    tasks: Sequence[Summary]
    total: int
    after: str | None


async def page(filters: Filters, order: Order, limit: int, offset: int = 0, after: str | None = None) -> Listed:
    """`after` is where the page before ended: `offset` counts from there. What it skips is not free: its keys are read.

    A cursor is a place in the order, with the number of its stretch before it: whatever has been there may be gone.
    """
    plan = plan_of(filters, order)
    counters = counts.keys_of(filters)
    if isinstance(plan, Read):
        cursors = await _read(plan, order, offset + limit + 1, after)
        return await _shown(cursors[offset:], limit, filters, counters or [])
    if counters is not None and order.by is SortBy.CREATED:
        cursors = await _picked(plan.lists[0], filters, order, offset + limit + 1, after)
        return await _shown(cursors[offset:], limit, filters, counters)
    entries = sorted(
        (sort_key(entry, order) for entry in await _shortest(plan.lists) if filters.fit(entry)),
        reverse=order.descending,
    )
    cursors = [f"{rank}|{place}" for rank, place in entries if after is None or _beyond((rank, place), after, order)]
    return await _shown(cursors[offset : offset + limit + 1], limit, filters, len(entries))


async def _shown(cursors: Sequence[str], limit: int, filters: Filters, total: int | Sequence[dict[str, Any]]) -> Listed:
    """`cursors` has one more than was asked for, if there is one more; `total` may be the keys of what counts it."""
    chosen, more = cursors[:limit], len(cursors) > limit
    counters = [] if isinstance(total, int) else total
    wanted = [_task_of(each) for each in chosen]
    items = {item["id"]["S"]: item for item in await read_parts([*counters, *map(head_key, wanted)])}
    found = summaries_of([(each, _told(items[each])) for each in wanted if each in items])
    # A row may be older than its task.
    return Listed(
        list(filter(filters.fit, found)),
        total if isinstance(total, int) else counts.sum_of(items.values(), filters),
        chosen[-1] if more else None,
    )


def _told(item: Mapping[str, Any]) -> str:
    """By a page there are fifty: what is of our shape is read as it lies there."""
    told: str = item["told"]["S"] if HEAD.has(item) else HEAD.row(item)["told"]
    return told


def _beyond(key: tuple[int, str], after: str, order: Order) -> bool:
    rank, _, place = after.partition("|")
    return key < (int(rank), place) if order.descending else key > (int(rank), place)


def _task_of(cursor: str) -> str:
    return task_at(cursor.partition("|")[2])


async def _read(plan: Read, order: Order, number: int, after: str | None) -> list[str]:
    """At most `number` cursors."""
    index, _, place = (after or "0|").partition("|")
    if after and not any(segment.first <= place <= segment.last for segment in plan.segments[int(index) :][:1]):
        issue = "Belongs to a list in another order"
        raise Failure(Kind.INVALID, f"cursor: {issue}", details={"field": "cursor", "issue": issue})
    found: list[str] = []
    for stretch, segment in enumerate(plan.segments[int(index) :], int(index)):
        rows = await _rows(segment, order.descending, number - len(found), place)
        found += [f"{stretch}|{row['place']['S']}" for row in rows]
        if len(found) == number:
            break
        place = ""
    return found


async def _picked(name: str, filters: Filters, order: Order, number: int, after: str | None) -> list[str]:
    """At most `number` of the cursors of those that fit, read as far as that takes."""
    place, at_once = (after or "0|").partition("|")[2], max(_FIRST, number)
    found: list[str] = []
    while True:
        rows = await _rows(Segment(name), order.descending, at_once, place)
        found += [f"0|{sort_key(entry, order)[1]}" for entry in _entries(rows) if filters.fit(entry)]
        if len(found) >= number or len(rows) < at_once:
            return found[:number]
        place, at_once = rows[-1]["place"]["S"], min(2 * at_once, _MOST)


async def _shortest(names: Sequence[str]) -> list[Entry]:
    """All entries of one of these partitions: that which is found to end first, while all are read."""
    at_once = _FIRST
    rows: list[list[dict[str, Any]]] = [[] for _ in names]
    while True:
        places = [each[-1]["place"]["S"] if each else "" for each in rows]
        more = await asyncio.gather(
            *(_rows(Segment(name), False, at_once, place) for name, place in zip(names, places, strict=True))
        )
        for all_of, new in zip(rows, more, strict=True):
            all_of += new
        ended = [all_of for all_of, new in zip(rows, more, strict=True) if len(new) < at_once]
        if ended:
            return _entries(min(ended, key=len))
        at_once = min(2 * at_once, _MOST)


def _entries(rows: Sequence[Mapping[str, Any]]) -> list[Entry]:
    return [entry_at(row["place"]["S"], row["told"]["S"]) for row in rows]


async def _rows(segment: Segment, descending: bool, limit: int, after: str) -> list[dict[str, Any]]:
    """At most `limit` of them, beyond `after`."""
    rows: list[dict[str, Any]] = []
    start: dict[str, Any] | None = wire.to_item({"list": segment.list, "place": after}) if after else None
    condition, values = "#list = :list", {":list": segment.list}
    if (segment.first, segment.last) != WHOLE:
        condition += " AND place BETWEEN :first AND :last"
        values |= {":first": segment.first, ":last": segment.last}
    while len(rows) < limit:
        answer = await wire.call(
            "Query",
            {
                "TableName": settings().table("task-lists"),
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": {"#list": "list"},
                "ExpressionAttributeValues": wire.to_item(values),
                "ScanIndexForward": not descending,
                "ConsistentRead": True,
                "Limit": limit - len(rows),
                **({"ExclusiveStartKey": start} if start else {}),
            },
        )
        rows += answer["Items"]
        start = answer.get("LastEvaluatedKey")
        if not start:
            break
    return rows
