"""Pages of lists: keys are read in the order of the list, then the tasks of the page and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from quintet.errors import invalid
from quintet.settings import settings
from quintet.store import wire
from quintet.store.shapes import NUMBER
from quintet.tasks.model import Filters, Order, Summary
from quintet.tasks.shapes import HEAD
from quintet.tasks.store import counts
from quintet.tasks.store.facts import choices
from quintet.tasks.store.listing import WHOLE, Segment, Source, fits, plan_of, task_at
from quintet.tasks.store.rows import summaries_of
from quintet.tasks.store.tasks import head_key, read_parts

_FEWEST, _MOST = 100, 1000  # entries of a request, where only some fit


@dataclass(frozen=True, slots=True)
class Listed:
    """`total` counts all that fit; `after` is where the next page begins, None when there is none."""

    tasks: Sequence[Summary]
    total: int
    after: str | None


class _Found(NamedTuple):
    """A row, by the cursor that leads beyond it."""

    cursor: str
    told: str


async def page(filters: Filters, order: Order, limit: int, offset: int = 0, after: str | None = None) -> Listed:
    """`after` is where the page before ended: `offset` counts from there. What it skips is not free: its keys are read.

    A cursor is a place in the order, with the number of its segment before it: whatever has been there may be gone.
    """
    sources = plan_of(filters, order)
    _check(after, sources[0])
    number = offset + limit + 1
    total: int | None = None
    if len(sources) > 1:
        found, total = await _of_several(sources, filters, order, after)
        return await _shown(found[offset:number], limit, filters, total)
    if sources[0].holds == filters:
        found = await _read(sources[0], order, number, after)
    else:
        found, total = await _picked(sources[0], filters, order, number, after)
    whole = after is None and offset == 0 and len(found) <= limit  # nothing has to be counted
    listed = await _shown(found[offset:], limit, filters, 0 if whole else total)
    return replace(listed, total=len(listed.tasks)) if whole else listed


async def _shown(found: Sequence[_Found], limit: int, filters: Filters, total: int | None) -> Listed:
    """`found` has one more than was asked for, if there is one more. What is not counted yet is counted here."""
    chosen, more = found[:limit], len(found) > limit
    counters, names = (counts.keys_of(filters), counts.names_of(filters)) if total is None else ([], [])
    wanted = list(dict.fromkeys(task_at(each.cursor) for each in chosen))
    keys = [*counters, *map(head_key, wanted)]
    items = {item["id"]["S"]: item for item in await read_parts(keys, names and [*names, "told", NUMBER])}
    shown = summaries_of([(each, _told(items[each])) for each in wanted if each in items])
    fitting = list(filter(filters.fit, shown))  # a row may be older than its task
    counted = counts.sum_of(items.values(), filters) if total is None else total
    return Listed(fitting, counted, chosen[-1].cursor if more else None)


def _told(item: Mapping[str, Any]) -> str:
    """By a page there are fifty: what is of our shape is read as it lies there."""
    told: str = item["told"]["S"] if HEAD.has(item) else HEAD.row(item)["told"]
    return told


async def _of_several(
    sources: Sequence[Source], filters: Filters, order: Order, after: str | None
) -> tuple[list[_Found], int]:
    """What fits beyond `after`, and how many fit at all: to know that, all of the smallest source has to be read."""
    owners = [replace(filters, created_by=each.holds.created_by, tags=each.holds.tags) for each in sources]
    counting = counts.names_of(*owners, *(each.holds for each in sources))
    counters = await read_parts(counts.keys_of(filters), counting)
    most = min(counts.sum_of(counters, owner) for owner in owners)
    sizes = [counts.sum_of(counters, each.holds) for each in sources]
    source = sources[sizes.index(min(sizes))]
    fit = fits(filters, source.holds)
    found: dict[str, _Found] = {}
    at_once, last = max(min(sizes) + 1, _FEWEST), None
    while len(found) < most:
        rows = await _read(source, order, at_once, last)
        _find(found, rows, fit)
        if len(rows) < at_once:
            break
        last = rows[-1].cursor
    return [row for row in found.values() if after is None or _beyond(row.cursor, after, order)], len(found)


async def _picked(
    source: Source, filters: Filters, order: Order, number: int, after: str | None
) -> tuple[list[_Found], int | None]:
    """At most `number` of those that fit, read as far as that takes, and how many fit, if that had to be known."""
    fit = fits(filters, source.holds)
    found: dict[str, _Found] = {}
    total: int | None = None
    one_in: float | None = None
    if len(more := choices(filters, source.holds)) == 1:
        (one_in,) = more  # if they are equally frequent: worth a try before anything is counted
    last, ended = after, False
    while not ended and len(found) < number:
        if one_in is None:
            counters = await read_parts(counts.keys_of(filters), counts.names_of(filters, source.holds))
            total = counts.sum_of(counters, filters)
            one_in = counts.sum_of(counters, source.holds) / max(1, total)
        if after is None and len(found) == total:
            break
        at_once = max(_FEWEST, min(int(1.25 * one_in * (number - len(found))), _MOST))
        rows = await _read(source, order, at_once, last)
        _find(found, rows, fit)
        last, ended = rows[-1].cursor if rows else last, len(rows) < at_once
        if total is None:
            one_in = None  # they are not
    return [*found.values()][:number], total


def _find(found: dict[str, _Found], rows: Sequence[_Found], fit: Callable[[str], bool]) -> None:
    """Each task at the first of its places: one that moves while a list is read may be met at another as well."""
    for row in rows:
        if fit(row.told):
            found.setdefault(task_at(row.cursor), row)


def _check(after: str | None, source: Source) -> None:
    if after is None:
        return
    index, place = _place_of(after)
    if not any(segment.has(place) for segment in source.segments[index : index + 1]):
        raise invalid("cursor", "Belongs to a list in another order")


def _place_of(cursor: str) -> tuple[int, str]:
    index, _, place = cursor.partition("|")
    return int(index), place


def _beyond(cursor: str, after: str, order: Order) -> bool:
    """Segments are read one after the other, whichever way each of them is."""
    (segment, place), (there, that) = _place_of(cursor), _place_of(after)
    return segment > there or (segment == there and (place < that if order.descending else place > that))


async def _read(source: Source, order: Order, number: int, after: str | None) -> list[_Found]:
    """At most `number`, beyond `after`."""
    index, place = (0, "") if after is None else _place_of(after)
    found: list[_Found] = []
    for at, segment in enumerate(source.segments[index:], index):
        rows = await _rows(segment, order.descending, number - len(found), place)
        found += [_Found(f"{at}|{row['place']['S']}", row["told"]["S"] if "told" in row else "") for row in rows]
        if len(found) == number:
            break
        place = ""
    return found


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
