"""How many tasks there are, by status, type, priority and role: exact, and read at once.

A histogram has a cell for each combination that occurs; it stands in eight items, and a task always counts in the same
one of them. So a transaction that moves a task from cell to cell shares its item with an eighth of the others, and a
total is the sum of the cells that fit over eight small items. There is one histogram of all tasks, one for every
creator and one for every tag.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pynamodb.expressions.operand import Path

from quintet.settings import settings
from quintet.store import wire
from quintet.store.transactions import Write
from quintet.tasks.model import Filters, Task
from quintet.tasks.store.items import PartItem
from quintet.tasks.store.listing import cell_of, fitting_cells

SHARDS = 8
PART = "cells"


def moves(before: Task | None, after: Task) -> Iterator[Write]:
    """The writes that keep the histograms right when `before` becomes `after`."""
    gone = {(name, cell_of(before)) for name in _histograms(before)} if before else set()
    come = {(name, cell_of(after)) for name in _histograms(after)}
    changes: dict[str, list[tuple[str, int]]] = {}
    for name, cell in sorted(gone - come):
        changes.setdefault(name, []).append((cell, -1))
    for name, cell in sorted(come - gone):
        changes.setdefault(name, []).append((cell, 1))
    for name, cells in changes.items():
        yield _change(_key(name, _shard(after.id)), cells)


async def total(filters: Filters) -> int | None:
    """None where no histogram knows: of several tags, or of a tag and a creator."""
    keys = keys_of(filters)
    return None if keys is None else sum_of(await read_all(settings().table("tasks"), keys), filters)


def keys_of(filters: Filters) -> list[dict[str, Any]] | None:
    """The items whose cells say how many tasks fit."""
    if len(filters.tags) + (filters.created_by is not None) > 1:
        return None
    name = "all"
    if filters.tags:
        name = f"g={filters.tags[0]}"
    elif filters.created_by is not None:
        name = f"c={filters.created_by}"
    return [wire.to_item({"id": _key(name, shard), "part": PART}) for shard in range(SHARDS)]


def sum_of(items: Iterable[Mapping[str, Any]], filters: Filters) -> int:
    fits = fitting_cells(filters)
    return sum(
        int(number) for item in items for cell, number in item.items() if cell.startswith("n") and fits(cell[1:])
    )


async def read_all(table: str, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are there, in no order. Consistent; at most 100."""
    found: list[dict[str, Any]] = []
    wanted: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
    while wanted and keys:
        answer = await wire.call("BatchGetItem", {"RequestItems": wanted})
        found += [wire.from_item(item) for item in answer["Responses"].get(table, [])]
        wanted = answer.get("UnprocessedKeys") or {}
    return found


def _histograms(task: Task) -> Iterable[str]:
    return ("all", f"c={task.created_by}", *(f"g={tag}" for tag in task.tags))


def _key(name: str, shard: int) -> str:
    return f"count#{name}#{shard}"


def _shard(task_id: str) -> int:
    return zlib.crc32(task_id.encode()) % SHARDS


def _change(key: str, cells: list[tuple[str, int]]) -> Write:
    item = PartItem(key, PART)
    return lambda tx: tx.update(item, actions=[Path([f"n{cell}"]).add(number) for cell, number in cells])
