"""How many tasks there are, by status, type, priority and role: exact, and read at once.

A histogram has a cell for each combination that occurs; it stands in eight items, and a task always counts in the same
one of them. So a transaction that moves a task from cell to cell shares its item with an eighth of the others, and a
total is the sum of the cells that fit over eight small items: cells have short names, all 400 of them are one unit.
There is one histogram of all tasks, one for every creator and one for every tag.

The sums by each one of the four, and of all, are kept as well, for they are what is asked most: of all tasks in eight
items more. Whoever counts asks for what counts alone.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pynamodb.expressions.operand import Path

from quintet.store import wire
from quintet.store.transactions import Write
from quintet.tasks.model import Filters, Task
from quintet.tasks.store.facts import digits_of, pattern_of, possible
from quintet.tasks.store.items import PartItem

SHARDS = 8
PART, SUMS = "cells", "sums"
_ALL = "all"
_FEW = 60  # of the 400 cells that there may be


def moves(before: Task | None, after: Task) -> Iterator[Write]:
    """The writes that keep the histograms right when `before` becomes `after`."""
    gone = {(name, _cell(before)) for name in _histograms(before)} if before else set()
    come = {(name, _cell(after)) for name in _histograms(after)}
    changes: dict[str, list[tuple[str, int]]] = {}
    for name, cell in sorted(gone - come):
        changes.setdefault(name, []).append((cell, -1))
    for name, cell in sorted(come - gone):
        changes.setdefault(name, []).append((cell, 1))
    for name, cells in changes.items():
        key, sums = _key(name, _shard(after.id)), _of_sums(cells)
        if name == _ALL:
            yield _change(key, PART, cells)
            yield _change(key, SUMS, sums)
        else:
            yield _change(key, PART, [*cells, *sums])


def keys_of(filters: Filters, shards: int = SHARDS) -> list[dict[str, Any]]:
    """The items that say how many tasks fit; of several tags, or of a tag and a creator, how many of each. Fewer shards
    say how many of so many eighths, and tasks are spread evenly.
    """
    names = _owners(filters.created_by, filters.tags) or [_ALL]
    part = SUMS if names == [_ALL] and _is_sum(filters) else PART
    return [wire.to_item({"id": _key(name, shard), "part": part}) for name in names for shard in range(shards)]


def names_of(*several: Filters) -> list[str]:
    """What it is in these items that counts, among hundreds of cells. Nothing where that is no small part of them."""
    counting = ["id", "part"]
    for filters in several:
        cells = [_sum(filters)] if _is_sum(filters) else [f"n{digits}" for digits in possible(pattern_of(filters))]
        counting += [cell for cell in cells if cell not in counting]
    return counting if len(counting) <= _FEW else []


def sum_of(items: Iterable[Mapping[str, Any]], filters: Filters) -> int:
    """How many tasks fit, by items as DynamoDB tells them: there may be thousands of cells. `filters` names no more
    than one tag or creator, and the items of others are passed over.
    """
    (name,) = _owners(filters.created_by, filters.tags) or [_ALL]
    asked = _sum(filters)
    fits = re.compile(f"n{pattern_of(filters)}".replace(".", r"\d")).fullmatch
    number = 0
    for item in items:
        part = item["part"]["S"]
        if part not in {PART, SUMS} or item["id"]["S"].rpartition("#")[0] != f"count#{name}":
            continue
        if _is_sum(filters):
            number += int(item[asked]["N"]) if asked in item else 0
        else:
            number += sum(int(content["N"]) for cell, content in item.items() if fits(cell))
    return number


async def read_all(table: str, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are there, in no order. Consistent; at most 100."""
    return [wire.from_item(item) for item in await read_raw(table, keys)]


async def read_raw(table: str, keys: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The same, as DynamoDB tells them; of `names`, if there are any, no more: none is a word of DynamoDB's."""
    found: list[dict[str, Any]] = []
    only = {"ProjectionExpression": ",".join(names)} if names else {}
    wanted: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True, **only}}
    while wanted and keys:
        answer = await wire.call("BatchGetItem", {"RequestItems": wanted})
        found += answer["Responses"].get(table, [])
        wanted = answer.get("UnprocessedKeys") or {}
    return found


def _histograms(task: Task) -> list[str]:
    return [_ALL, *_owners(task.created_by, task.tags)]


def _owners(creator: str | None, tags: Iterable[str]) -> list[str]:
    return [*([] if creator is None else [f"c={creator}"]), *(f"g={tag}" for tag in tags)]


def _is_sum(filters: Filters) -> bool:
    return len(pattern_of(filters).replace(".", "")) <= 1


def _cell(task: Task) -> str:
    return f"n{digits_of(task)}"


def _key(name: str, shard: int) -> str:
    return f"count#{name}#{shard}"


def _shard(task_id: str) -> int:
    return zlib.crc32(task_id.encode()) % SHARDS


def _sum(filters: Filters) -> str:
    """The name of the sum of what fits: a cell's, with lines for what is not asked."""
    return f"n{pattern_of(filters)}".replace(".", "_")


def _of_sums(cells: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The same change, of the sums that the cells belong to."""
    changes: Counter[str] = Counter()
    for cell, number in cells:
        changes["n____"] += number
        for place, digit in enumerate(cell[1:]):
            changes["n" + "_" * place + digit + "_" * (3 - place)] += number
    return [(name, number) for name, number in changes.items() if number]


def _change(key: str, part: str, cells: list[tuple[str, int]]) -> Write:
    item = PartItem(key, part)
    return lambda tx: tx.update(item, actions=[Path([cell]).add(number) for cell, number in cells])
