"""The tasks table and the lists: a task is written with its rows, its counts and its events, or not at all."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.transactions import TransactWrite

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, millis, sortable
from quintet.store.transactions import Unmet, Write, write_together
from quintet.tasks import shapes
from quintet.tasks.model import Task
from quintet.tasks.store import counts
from quintet.tasks.store.items import BodyItem, HeadItem, PartItem, RowItem
from quintet.tasks.store.listing import RUNNING, Move, Row, moves_of, task_at, waiting_list, working_list
from quintet.tasks.store.rows import BODY, HEAD, body_of, head_of, task_of

MOST_WRITES, _MOST_READS = 100, 100
_PROMISE = "promise"
_WAITS = "waits#"
_PROMISED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Promise:
    """What an idempotency key was used for. `body` is the digest of the request's."""

    key: str
    task_id: str
    body: str


async def find(task_id: str) -> Task | None:
    answer = await wire.call(
        "Query",
        {
            "TableName": settings().table("tasks"),
            "KeyConditionExpression": "id = :id AND part BETWEEN :body AND :head",
            "ExpressionAttributeValues": wire.to_item({":id": task_id, ":body": BODY, ":head": HEAD}),
            "ConsistentRead": True,
        },
    )
    items = {item["part"]["S"]: item for item in answer["Items"]}
    if HEAD not in items or BODY not in items:
        return None
    head, body = shapes.HEAD.row(items[HEAD]), shapes.BODY.row(items[BODY])
    return task_of(task_id, int(head["rev"]), head["told"], body["told"])


async def heads(task_ids: Sequence[str]) -> dict[str, Task]:
    """Without their bodies."""
    items = await read_parts([head_key(each) for each in task_ids])
    return {head["id"]: task_of(head["id"], int(head["rev"]), head["told"]) for head in map(shapes.HEAD.row, items)}


def head_key(task_id: str) -> dict[str, Any]:
    return {"id": {"S": task_id}, "part": {"S": HEAD}}


async def read_parts(keys: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Those that are there, in no order, as DynamoDB tells them; in as few requests as they take."""
    parts = [keys[start : start + _MOST_READS] for start in range(0, len(keys), _MOST_READS)]
    found = await asyncio.gather(*(counts.read_raw(settings().table("tasks"), part, names) for part in parts))
    return [item for items in found for item in items]


def add(task: Task, promise: Promise | None, *also: Write) -> None:
    """Raises Unmet(0) when the promise was given before."""
    writes: list[Write] = []
    if promise is not None:
        item = PartItem(
            promise.key,
            _PROMISE,
            told=f"{promise.task_id} {promise.body}",
            expires_at=epoch(task.created_at + _PROMISED_FOR),
        )
        # One that has expired may still lie there: time to live takes its time.
        free = PartItem.id.does_not_exist() | (PartItem.expires_at < epoch(task.created_at))
        writes.append(lambda tx: tx.save(item, condition=free))
    bound, others = moves_of(None, task)
    try:
        _write([*writes, lambda tx: _parts(tx, None, task), *counts.moves(None, task), *also], bound, others)
    except Unmet:
        _leave(move.row for move in others)  # nobody else has ever had these
        raise


def change(before: Task, after: Task, *also: Write) -> None:
    """Raises Unmet(0) when somebody else has changed the task since it was read."""
    writes: list[Write] = [lambda tx: _parts(tx, before, after), *counts.moves(before, after)]
    _write([*writes, *also], *moves_of(before, after))


def _write(writes: Sequence[Write], bound: Sequence[Move], others: Sequence[Move]) -> None:
    """With the moves that are bound to be there, and as many others as it takes: of the rest, rows come before it, or
    go after it.
    """
    writes = [*writes, *map(_moved, bound)]
    left = MOST_WRITES - len(writes) - 1  # a task is two items
    fitting, rest = others[:left], others[left:]
    with RowItem.batch_write() as batch:
        for move in rest:
            if move.comes:
                batch.save(_item(move.row))
    write_together([*writes, *map(_moved, fitting)])
    _leave(move.row for move in rest if not move.comes)


def _leave(rows: Iterable[Row]) -> None:
    with RowItem.batch_write() as batch:
        for row in rows:
            batch.delete(_item(row))


async def busy(role: str) -> tuple[int, int]:
    """How many tasks the agents of a role work on, and how many wait for them."""
    return await _count(working_list(role)), await _count(waiting_list(role))


async def _count(name: str) -> int:
    number = 0
    start: Any = None
    while True:
        answer = await wire.call(
            "Query",
            {
                "TableName": settings().table("task-lists"),
                "KeyConditionExpression": "#list = :list",
                "ExpressionAttributeNames": {"#list": "list"},
                "ExpressionAttributeValues": wire.to_item({":list": name}),
                "Select": "COUNT",
                "ConsistentRead": True,
                **({"ExclusiveStartKey": start} if start else {}),
            },
        )
        number += int(answer["Count"])
        start = answer.get("LastEvaluatedKey")
        if not start:
            return number


def running(before: datetime, limit: int) -> list[str]:
    """Tasks that an execution should be working on, and that have not moved since `before`."""
    found = RowItem.query(RUNNING, RowItem.place < sortable(millis(before)), limit=limit, consistent_read=True)
    return [task_at(item.place) for item in found]


async def promise(key: str, now: datetime) -> Promise | None:
    answer = await wire.call(
        "GetItem",
        {
            "TableName": settings().table("tasks"),
            "Key": wire.to_item({"id": key, "part": _PROMISE}),
            "ConsistentRead": True,
        },
    )
    item = wire.from_item(answer.get("Item", {}))
    if not item or item["expires_at"] < epoch(now):
        return None
    task_id, body = item["told"].split(" ")
    return Promise(key, task_id, body)


def expect(task_id: str, dependencies: Sequence[str]) -> None:
    """Whoever ends one of these finds that this task waits for it. One that never comes to be does no harm there."""
    with PartItem.batch_write() as batch:
        for each in dependencies:
            batch.save(PartItem(each, f"{_WAITS}{task_id}"))


def waiting_for(task_id: str) -> list[str]:
    found = PartItem.query(task_id, PartItem.part.startswith(_WAITS), consistent_read=True)
    return [item.part.removeprefix(_WAITS) for item in found]


def _parts(transaction: TransactWrite, before: Task | None, after: Task) -> None:
    """Its condition says that nobody else was here."""
    unchanged = PartItem.rev == before.rev if before else PartItem.id.does_not_exist()
    transaction.save(HeadItem(after.id, HEAD, rev=after.rev, told=head_of(after)), condition=unchanged)
    body = body_of(after)
    if before is None or body_of(before) != body:
        transaction.save(BodyItem(after.id, BODY, told=body))


def _moved(move: Move) -> Write:
    item = _item(move.row)
    return lambda tx: tx.save(item) if move.comes else tx.delete(item)


def _item(row: Row) -> RowItem:
    return RowItem(row.list, row.place, told=row.told)
