"""Pages of lists: rows are read in the order of the list, and where these do not tell it, the tasks of the page."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

from quintet.errors import invalid
from quintet.settings import settings
from quintet.store import wire
from quintet.store.shapes import NUMBER
from quintet.tasks.model import Filters, Order, Summary
from quintet.tasks.shapes import HEAD
from quintet.tasks.store import counts, entries
from quintet.tasks.store.entries import fits, tells_all
from quintet.tasks.store.facts import choices
from quintet.tasks.store.listing import WHOLE, Segment, Source, plan_of, task_at
from quintet.tasks.store.rows import summaries_of
from quintet.tasks.store.tasks import head_key, read_parts

_FEWEST, _MOST = 100, 1000  # entries of a request, where only some fit
_EVERY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Listed:
    """`total` counts all that fit; `after` is where the next page begins, None when there is none."""

    tasks: Sequence[Summary]
    total: int
    after: str | None


class _Found(NamedTuple):
    """A row as it lies there: hundreds may be read for a page."""

    segment: int
    row: Mapping[str, Any]

    @property
    def place(self) -> str:
        place: str = self.row["place"]["S"]
        return place

    @property
    def told(self) -> str:
        return self.row["told"]["S"] if "told" in self.row else ""

    @property
    def task_id(self) -> str:
        return task_at(self.place)

    @property
    def cursor(self) -> str:
        """It leads beyond the row."""
        return f"{self.segment}|{self.place}"


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
    (source,) = sources
    if source.holds != filters:
        found, total = await _picked(source, filters, order, number, after)
    elif source.tells:
        found, (total,) = await asyncio.gather(_read(source, order, number, after), _counts(filters, filters))
    else:
        found = await _read(source, order, number, after)
    whole = after is None and offset == 0 and len(found) <= limit  # nothing has to be counted
    listed = await _shown(found[offset:], limit, filters, 0 if whole else total)
    return replace(listed, total=len(listed.tasks)) if whole else listed


async def _shown(found: Sequence[_Found], limit: int, filters: Filters, total: int | None) -> Listed:
    """`found` has one more than was asked for, if there is one more. What is not counted yet is counted beside the
    tasks that have to be read, for their rows do not tell all.
    """
    chosen, more = found[:limit], len(found) > limit
    told: dict[str, str] = {}
    for each in chosen:
        told.setdefault(each.task_id, each.told)
    counters, names = (counts.keys_of(filters), counts.names_of(filters)) if total is None else ([], [])
    keys = [*counters, *(head_key(task_id) for task_id, text in told.items() if not tells_all(text))]
    items = {item["id"]["S"]: item for item in await read_parts(keys, names and [*names, "told", NUMBER])}
    heads = [(task_id, _told(item)) for task_id, item in items.items() if task_id in told]
    shown = entries.summaries_of([(task_id, text) for task_id, text in told.items() if tells_all(text)])
    known = {each.id: each for each in (*shown, *summaries_of(heads))}
    fitting = [known[each] for each in told if each in known and filters.fit(known[each])]  # a row may be older
    counted = counts.sum_of(items.values(), filters) if total is None else total
    return Listed(fitting, counted, chosen[-1].cursor if more else None)


async def _counts(of: Filters, *several: Filters, shards: int = counts.SHARDS) -> list[int]:
    """How many tasks fit each of `several`, that name no tag or creator but those of `of`."""
    items = await read_parts(counts.keys_of(of, shards), counts.names_of(*several))
    return [counts.sum_of(items, each) for each in several]


def _told(item: Mapping[str, Any]) -> str:
    """By a page there are fifty: what is of our shape is read as it lies there."""
    told: str = item["told"]["S"] if HEAD.has(item) else HEAD.row(item)["told"]
    return told


async def _of_several(
    sources: Sequence[Source], filters: Filters, order: Order, after: str | None
) -> tuple[list[_Found], int]:
    """What fits beyond `after`, and how many fit at all: to know that, all of the smallest source has to be read. Which
    one that is, an eighth of the counts tells well enough.
    """
    sizes = await _counts(filters, *(each.holds for each in sources), shards=1)
    source = sources[sizes.index(min(sizes))]
    found: dict[str, _Found] = {}
    _find(found, await _read(source, order, _EVERY, None), fits(filters, source.holds))
    return [row for row in found.values() if after is None or _beyond(row.cursor, after, order)], len(found)


async def _picked(
    source: Source, filters: Filters, order: Order, number: int, after: str | None
) -> tuple[list[_Found], int]:
    """At most `number` of those that fit, read as far as that takes, and how many fit.

    Where much is asked, much is looked at first: it may be all there is, and then nothing has to be counted.
    """
    fit = fits(filters, source.holds)
    found: dict[str, _Found] = {}
    more = choices(filters, source.holds)
    at_once = _at_once(number, prod(more))  # as if all were equally frequent
    if len(more) > 1 and after is None:
        read = await _read(source, order, at_once, None)
        _find(found, read, fit)
        if len(read) < at_once:
            return [*found.values()][:number], len(found)
        total, held = await _counts(filters, filters, source.holds)
    else:
        (total, held), read = await asyncio.gather(
            _counts(filters, filters, source.holds), _read(source, order, at_once, after)
        )
        _find(found, read, fit)
    while len(read) == at_once and len(found) < number and not (after is None and len(found) == total):
        last = read[-1].cursor
        at_once = _at_once(number - len(found), held / max(1, total))
        read = await _read(source, order, at_once, last)
        _find(found, read, fit)
    return [*found.values()][:number], total


def _at_once(number: int, one_in: float) -> int:
    """So many entries for so many that fit."""
    return max(_FEWEST, min(int(1.25 * one_in * number), _MOST))


def _find(found: dict[str, _Found], read: Sequence[_Found], fit: Callable[[str], bool]) -> None:
    """Each task at the first of its places: one that moves while a list is read may be met at another as well."""
    for row in read:
        if fit(row.told):
            found.setdefault(row.task_id, row)


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
        found += [_Found(at, row) for row in await _rows(segment, order.descending, number - len(found), place)]
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
