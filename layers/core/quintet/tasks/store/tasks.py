"""The tasks table and the lists: a task is written with its rows, its counts and its events, or not at all."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.transactions import TransactWrite

from quintet.errors import Failure, Kind
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, millis
from quintet.store.transactions import Write, write_together
from quintet.tasks import shapes
from quintet.tasks.model import Filters, Order, Task
from quintet.tasks.store import counts
from quintet.tasks.store.items import BodyItem, HeadItem, PartItem, RowItem
from quintet.tasks.store.listing import (
    RUNNING,
    WHOLE,
    Plan,
    Row,
    Segment,
    plan_of,
    rows_of,
    sort_key,
    task_at,
    waiting_list,
    working_list,
)
from quintet.tasks.store.rows import BODY, HEAD, body_of, head_of, task_of

_SIFTED_AT_ONCE = 100
_MOST_WRITES, _MOST_READS = 100, 100
_PROMISE = "promise"
_WAITS = "waits#"
_PROMISED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Promise:
    """What an idempotency key was used for. `body` is the digest of the request's."""

    key: str
    task_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Listed:
    """`total` counts all that fit; `after` is where the next page begins, None when there is none."""

    tasks: Sequence[Task]
    total: int
    after: str | None


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
    """What lists show of these tasks."""
    tasks, _ = await _heads_and(task_ids, [])
    return tasks


async def _heads_and(
    task_ids: Sequence[str], others: Sequence[dict[str, Any]]
) -> tuple[dict[str, Task], list[dict[str, Any]]]:
    """Heads by id, and the items under `others`, in as few requests as they take."""
    keys = [*others, *(wire.to_item({"id": each, "part": HEAD}) for each in task_ids)]
    tasks: dict[str, Task] = {}
    beside: list[dict[str, Any]] = []
    for start in range(0, len(keys), _MOST_READS):
        for item in await counts.read_all(settings().table("tasks"), keys[start : start + _MOST_READS]):
            if item["part"] == HEAD:
                head = shapes.HEAD.read(item)
                tasks[item["id"]] = task_of(item["id"], int(head["rev"]), head["told"])
            else:
                beside.append(item)
    return tasks, beside


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
    writes += [lambda tx: _parts(tx, None, task), *counts.moves(None, task), *map(_placed, rows_of(task))]
    write_together([*writes, *also])


def change(before: Task, after: Task, *also: Write) -> None:
    """Raises Unmet(0) when somebody else has changed the task since it was read."""
    gone, come = rows_of(before) - rows_of(after), rows_of(after) - rows_of(before)
    writes: list[Write] = [lambda tx: _parts(tx, before, after), *counts.moves(before, after), *also]
    room = _MOST_WRITES - len(writes) - 1  # the first is two
    if len(gone) + len(come) <= room:
        write_together([*writes, *map(_placed, come), *map(_left, gone)])
        return
    with RowItem.batch_write() as batch:
        for row in come:
            batch.save(RowItem(row.list, row.place))
    write_together(writes)
    with RowItem.batch_write() as batch:
        for row in gone:
            batch.delete(RowItem(row.list, row.place))


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
    found = RowItem.query(RUNNING, RowItem.place < f"{millis(before):014d}", limit=limit, consistent_read=True)
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


async def page(filters: Filters, order: Order, limit: int, offset: int = 0, after: str | None = None) -> Listed:
    """`after` is where the page before ended: `offset` counts from there. What `offset` skips is read all the same."""
    plan = plan_of(filters, order)
    if after is not None and ("|" in after) is plan.sorted_after:
        issue = "Belongs to a list in another order"
        raise Failure(Kind.INVALID, f"cursor: {issue}", details={"field": "cursor", "issue": issue})
    if plan.sorted_after:
        tasks = await _all_sorted(plan, filters, order)
        begin = offset + next((place for place, task in enumerate(tasks, 1) if task.id == after), 0)
        return _listed([(task.id, task) for task in tasks[begin : begin + limit + 1]], limit, len(tasks))
    found, total = await _read(plan, filters, order, limit + 1, offset, after)
    return _listed(found, limit, len(await _all_sorted(plan, filters, order)) if total is None else total)


def _listed(found: list[tuple[str, Task]], limit: int, total: int) -> Listed:
    """`found` has one more than was asked for, if there is one more."""
    return Listed([task for _, task in found[:limit]], total, found[limit - 1][0] if len(found) > limit else None)


async def _read(
    plan: Plan, filters: Filters, order: Order, limit: int, offset: int, after: str | None
) -> tuple[list[tuple[str, Task]], int | None]:
    """Tasks with their cursors, and how many there are in all, where the histograms know."""
    known: dict[str, Task] = {}
    fitting: list[str] = []
    async for cursors in _cursors(plan, order, after, _SIFTED_AT_ONCE if plan.sifted else offset + limit):
        if plan.sifted:
            known |= await heads([_task_of(cursor) for cursor in cursors])
            cursors = [each for each in cursors if _is(known.get(_task_of(each)), filters)]
        fitting += cursors
        if len(fitting) >= offset + limit:
            break
    chosen = fitting[offset : offset + limit]
    counters = counts.keys_of(filters)
    more, cells = await _heads_and([_task_of(each) for each in chosen if _task_of(each) not in known], counters or [])
    known |= more
    found = [(cursor, known[_task_of(cursor)]) for cursor in chosen if _is(known.get(_task_of(cursor)), filters)]
    return found, None if counters is None else counts.sum_of(cells, filters)


def _is(task: Task | None, filters: Filters) -> bool:
    """A row may be older than its task."""
    return task is not None and filters.fit(task)


async def _cursors(plan: Plan, order: Order, after: str | None, at_once: int) -> AsyncIterator[list[str]]:
    """Places in the plan's segments, one stretch after the other, each with its segment's number before it."""
    index, _, place = (after or "0|").partition("|")
    for number, segment in enumerate(plan.segments[int(index) :], int(index)):
        while True:
            places = await _places(segment, order.descending, at_once, place)
            yield [f"{number}|{each}" for each in places]
            if len(places) < at_once:
                break
            place = places[-1]
        place = ""


def _task_of(cursor: str) -> str:
    return task_at(cursor.partition("|")[2])


async def _all_sorted(plan: Plan, filters: Filters, order: Order) -> list[Task]:
    tasks: list[Task] = []
    for segment in plan.segments:
        place = ""
        while True:
            places = await _places(segment, order.descending, 1000, place)
            known = await heads([task_at(each) for each in places])
            tasks += [task for task in known.values() if filters.fit(task)]
            if len(places) < 1000:
                break
            place = places[-1]
    return sorted(tasks, key=lambda task: sort_key(task, order), reverse=order.descending)


async def _places(segment: Segment, descending: bool, limit: int, after: str) -> list[str]:
    """At most `limit` of them, beyond `after`."""
    places: list[str] = []
    start: dict[str, Any] | None = wire.to_item({"list": segment.list, "place": after}) if after else None
    condition, values = "#list = :list", {":list": segment.list}
    if (segment.first, segment.last) != WHOLE:
        condition += " AND place BETWEEN :first AND :last"
        values |= {":first": segment.first, ":last": segment.last}
    while len(places) < limit:
        answer = await wire.call(
            "Query",
            {
                "TableName": settings().table("task-lists"),
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": {"#list": "list"},
                "ExpressionAttributeValues": wire.to_item(values),
                "ScanIndexForward": not descending,
                "ConsistentRead": True,
                "Limit": limit - len(places),
                **({"ExclusiveStartKey": start} if start else {}),
            },
        )
        places += [item["place"]["S"] for item in answer["Items"]]
        start = answer.get("LastEvaluatedKey")
        if not start:
            break
    return places


def _parts(transaction: TransactWrite, before: Task | None, after: Task) -> None:
    """Its condition says that nobody else was here."""
    unchanged = PartItem.rev == before.rev if before else PartItem.id.does_not_exist()
    transaction.save(HeadItem(after.id, HEAD, rev=after.rev, told=head_of(after)), condition=unchanged)
    body = body_of(after)
    if before is None or body_of(before) != body:
        transaction.save(BodyItem(after.id, BODY, told=body))


def _placed(row: Row) -> Write:
    item = RowItem(row.list, row.place)
    return lambda tx: tx.save(item)


def _left(row: Row) -> Write:
    item = RowItem(row.list, row.place)
    return lambda tx: tx.delete(item)
