"""The series table: points and what series came to, the receipts of what was counted, and how long points are kept."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch
from quintet.telemetry.rollup import REMEMBERED, Additions, Place, Receipt, Receipts, Target
from quintet.telemetry.series import Point, Series, Step, added
from quintet.telemetry.store.retention import kept_for, retention

LANES = 8
_MARK = 12  # bytes
_SINCE_EVER = "total"
_AMOUNT = "+"  # the prefix of attributes that are added up


class TableBooks:
    """Reads and writes through DynamoDB's API itself: a batch's transaction has dozens of parts."""

    _lane = 0

    async def receipts(self, place: Place) -> Receipts:
        last, marks = 0, set[bytes]()
        async for item in rows(_receipts_key(place), consistent=True):
            last = max(last, int(item["sk"]))
            packed = item["marks"]
            marks.update(packed[start : start + _MARK] for start in range(0, len(packed), _MARK))
        return Receipts(last, frozenset(marks))

    async def enter(self, receipts: Sequence[Receipt], additions: Additions, now: datetime) -> bool:
        table = settings().table("series")
        days = await retention()
        writes = [_receipt(table, receipt, now) for receipt in receipts]
        writes += [_addition(table, target, amounts, self._lane, days) for target, amounts in additions.items()]
        request = {"TransactItems": writes, "ClientRequestToken": str(uuid.uuid4())}
        with wire.watched() as calls:
            try:
                await wire.call("TransactWriteItems", request, timeout=20.0)
            except wire.WireError as error:
                if error.unmet:
                    return False
                raise
        if len(calls) > 1:  # it met another one here
            TableBooks._lane = (self._lane + 1) % LANES
        return True


class Read:
    """What a question cost: items and pages that were read."""

    def __init__(self) -> None:
        self.items = 0
        self.pages = 0


async def points(series: Series, step: Step, start: datetime, end: datetime, read: Read | None = None) -> list[Point]:
    """Oldest first, from the step that has `start` in it to the one that has `end` in it. Empty steps have no point."""
    key = f"{series.family}#{step.name.lower()}#{series.name}"
    within = (f"{step.place(start)}#", f"{step.place(end)}#~")
    found: dict[str, list[dict[str, Any]]] = {}
    async for item in rows(key, within, read=read):
        found.setdefault(item["sk"].rpartition("#")[0], []).append(item)
    return [Point(step.start(place), added(*map(_amounts, items))) for place, items in found.items()]


async def totals(family: str, read: Read | None = None) -> dict[Series, Point]:
    """Every series of a family with what it came to since ever; `at` is the last minute that added to it."""
    found: dict[Series, Point] = {}
    async for item in rows(f"{family}#{_SINCE_EVER}", read=read):
        series = Series.named(family, item["sk"].rpartition("#")[0])
        at, before = Step.MINUTE.start(item["last"]), found.get(series)
        amounts = _amounts(item)
        found[series] = Point(max(at, before.at), added(before.amounts, amounts)) if before else Point(at, amounts)
    return found


async def rows(
    key: str, within: tuple[str, str] | None = None, *, consistent: bool = False, read: Read | None = None
) -> AsyncIterator[dict[str, Any]]:
    """The items of a partition in their order, page by page."""
    condition, values = "pk = :pk", {":pk": {"S": key}}
    if within:
        condition += " AND sk BETWEEN :first AND :last"
        values |= {":first": {"S": within[0]}, ":last": {"S": within[1]}}
    request: dict[str, Any] = {
        "TableName": settings().table("series"),
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ConsistentRead": consistent,
    }
    while True:
        page = await wire.call("Query", request)
        if read:
            read.items += len(page["Items"])
            read.pages += 1
        for item in page["Items"]:
            yield wire.from_item(item)
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


async def remove(family: str, step: Step, before: datetime) -> int:
    """Deletes a family's points that ended before a moment: what the table's time to live does, at once."""
    deleted = 0
    for series in await totals(family):
        key = f"{family}#{step.name.lower()}#{series.name}"
        old = [item["sk"] async for item in rows(key, ("0", step.place(before)))]
        for start in range(0, len(old), 25):
            await _delete([(key, place) for place in old[start : start + 25]])
        deleted += len(old)
    return deleted


async def _delete(keys: Sequence[tuple[str, str]]) -> None:
    table = settings().table("series")
    left: Any = [{"DeleteRequest": {"Key": wire.to_item({"pk": pk, "sk": sk})}} for pk, sk in keys]
    while left:
        answer = await wire.call("BatchWriteItem", {"RequestItems": {table: left}}, idempotent=True)
        left = answer.get("UnprocessedItems", {}).get(table, [])
        if left:
            await asyncio.sleep(0.1)


def _receipts_key(place: Place) -> str:
    return f"seen#{Step.MINUTE.place(place.minute)}#{place.shard}"


def _receipt(table: str, receipt: Receipt, now: datetime) -> dict[str, Any]:
    item = {
        "pk": _receipts_key(receipt.place),
        "sk": f"{receipt.number:06d}",
        "marks": b"".join(receipt.marks),
        "expires_at": epoch(now + REMEMBERED + timedelta(hours=1)),
    }
    condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    return {"Put": {"TableName": table, "Item": wire.to_item(item), **condition}}


def _addition(table: str, target: Target, amounts: Mapping[str, int], lane: int, days: int) -> dict[str, Any]:
    family, name, step = target.series.family, target.series.name, target.step
    if step is None:
        key = {"pk": f"{family}#{_SINCE_EVER}", "sk": f"{name}#{lane}"}
        own: tuple[str, str | int] = ("last", target.place)
    else:
        key = {"pk": f"{family}#{step.name.lower()}#{name}", "sk": f"{target.place}#{lane}"}
        own = ("expires_at", epoch(step.start(target.place) + step.length + kept_for(step, days)))
    names = {f"#{place}": f"{_AMOUNT}{amount}" for place, amount in enumerate(amounts)}
    values = {f":{place}": number for place, number in enumerate(amounts.values())}
    adding = ", ".join(f"{each} :{each[1:]}" for each in names)
    return {
        "Update": {
            "TableName": table,
            "Key": wire.to_item(key),
            "UpdateExpression": f"SET #own = :own ADD {adding}",
            "ExpressionAttributeNames": {**names, "#own": own[0]},
            "ExpressionAttributeValues": wire.to_item({**values, ":own": own[1]}),
        }
    }


def _amounts(item: Mapping[str, Any]) -> dict[str, int]:
    return {name[1:]: number for name, number in item.items() if name[0] == _AMOUNT}
