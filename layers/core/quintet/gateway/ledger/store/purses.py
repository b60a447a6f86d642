"""Purses in DynamoDB: each change is one conditional UpdateItem, signed and raw. No transaction, no shared item.

A purse's attributes are `l_<pot>` ({c: cap, f: free, s: spent, w: window, g: since}), `l_open` (its entries), `l_stamp`
(changes when a pot comes or goes) and `l_held` (there while entries may be open: the sweep finds the purse by it).
"""

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from quintet.gateway.ledger.model import Place
from quintet.gateway.ledger.purse import MOST_OPEN, Change, Entry, Purse
from quintet.identity.store.registry import noting, standing
from quintet.settings import settings
from quintet.store import wire
from quintet.store.items import from_item, to_item

HELD_SHARDS = 16
_HELD_INDEX = "held"


class Unmet(Exception):  # noqa: N818 - an outcome
    """The purse is not as it was planned upon: it is `purse`, None if there is none. `item` is all that lies there."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__("the purse has changed" if item else "there is no purse")
        self.item = item or {}
        self.purse = Purse.of(item) if item else None


async def note(place: Place, stamp: int | None, rev: int | None, now: datetime) -> None:
    """Only notes that the caller was here and still stands, where no budget lies on its account. Raises Unmet."""
    await _update(place, _Expression(stamp).noted(place, rev, now))


async def write(place: Place, change: Change, now: datetime, *, caller: bool = False, rev: int | None = None) -> None:
    """`caller` says that the purse is the caller's account, which must let a caller of revision `rev` in.

    Raises Unmet, which shows the purse: a write that succeeds does not, it may be large. Repeating it does no harm: it
    meets its own first try.
    """
    expression = _Expression(change.stamp)
    if place.table != "accounts":
        expression.unless("attribute_exists(id)")
    elif caller:
        expression.noted(place, rev, now)
    for code, move in change.moves.items():
        expression.move(code, move.before, move.window, move.free, move.spent, taking=change.taking)
    if change.added:
        expression.set(f"l_held = {expression.value(held_by(place.id))}")
    if change.opens:
        expression.unless("attribute_not_exists(l_open)")
        expression.set(f"l_open = {expression.value({name: entry.row() for name, entry in change.added.items()})}")
    else:
        for name, entry in change.added.items():
            expression.add(name, entry, MOST_OPEN + len(change.closed))
    for name, (before, after) in change.replaced.items():
        expression.replace(name, before, after)
    for name, entry in change.closed.items():
        expression.close(name, entry)
    await _update(place, expression)


async def read(places: Sequence[Place]) -> dict[Place, Purse]:
    """Those that are there, as they are at this moment."""
    found: dict[Place, Purse] = {}
    for start in range(0, len(places), 100):
        wanted: dict[str, Any] = {}
        for place in places[start : start + 100]:
            keys = wanted.setdefault(settings().table(place.table), {"ConsistentRead": True, "Keys": []})["Keys"]
            keys.append({"id": {"S": place.id}})
        while wanted:
            answer = await wire.call("BatchGetItem", {"RequestItems": wanted})
            for table, items in answer.get("Responses", {}).items():
                for item in items:
                    plain = from_item(item)
                    found[Place(table[len(settings().table_prefix) :], plain["id"])] = Purse.of(plain)
            wanted = answer.get("UnprocessedKeys", {})
    return found


async def held(table: str, shard: int) -> list[Place]:
    """Purses with entries that may be open."""
    places: list[Place] = []
    request: dict[str, Any] = {
        "TableName": settings().table(table),
        "IndexName": _HELD_INDEX,
        "KeyConditionExpression": "l_held = :shard",
        "ExpressionAttributeValues": to_item({":shard": f"{shard:02d}"}),
    }
    while True:
        answer = await wire.call("Query", request)
        places += [Place(table, from_item(item)["id"]) for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            return places
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


async def let_go(place: Place) -> None:
    """Of the sweep's index, if nothing is open."""
    try:
        await wire.call(
            "UpdateItem",
            {
                "TableName": settings().table(place.table),
                "Key": {"id": {"S": place.id}},
                "UpdateExpression": "REMOVE l_held",
                "ConditionExpression": "size(l_open) = :none",
                "ExpressionAttributeValues": to_item({":none": 0}),
            },
            idempotent=True,
        )
    except wire.WireError as error:
        if not error.unmet:
            raise


def held_by(identifier: str) -> str:
    return f"{zlib.crc32(identifier.encode()) % HELD_SHARDS:02d}"


async def _update(place: Place, expression: "_Expression") -> None:
    try:
        await wire.call(
            "UpdateItem",
            {
                "TableName": settings().table(place.table),
                "Key": {"id": {"S": place.id}},
                **expression.rendered(),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            },
            idempotent=True,
        )
    except wire.WireError as error:
        if not error.unmet:
            raise
        raise Unmet(error.item) from None


class _Expression:
    """An update as it grows, with the conditions that it rests on."""

    def __init__(self, stamp: int | None) -> None:
        self._sets: list[str] = []
        self._removes: list[str] = []
        self._conditions: list[str] = []
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self.unless("attribute_not_exists(l_stamp)" if stamp is None else f"l_stamp = {self.value(stamp)}")

    def rendered(self) -> dict[str, Any]:
        parts = []
        if self._sets:
            parts.append("SET " + ", ".join(self._sets))
        if self._removes:
            parts.append("REMOVE " + ", ".join(self._removes))
        rendered = {"UpdateExpression": " ".join(parts), "ConditionExpression": " AND ".join(self._conditions)}
        given = {"ExpressionAttributeNames": self._names, "ExpressionAttributeValues": to_item(self._values)}
        return {**rendered, **{name: value for name, value in given.items() if value}}

    def set(self, text: str) -> None:
        self._sets.append(text)

    def unless(self, condition: str) -> None:
        """Nothing is written unless it holds."""
        self._conditions.append(condition)

    def value(self, value: Any) -> str:
        name = f":v{len(self._values)}"
        self._values[name] = value
        return name

    def noted(self, place: Place, rev: int | None, now: datetime) -> "_Expression":
        stands, values = standing(rev)
        changes, its_values = noting(place.id, now)
        self.unless(stands)
        self._sets += changes
        self._values |= {**values, **its_values}
        return self

    def move(self, code: str, before: int, window: int, free: int, spent: int, *, taking: bool) -> None:
        pot = f"l_{code}"
        self.unless(f"{pot}.w = {self.value(before)}")
        if before != window:
            self.set(f"{pot}.w = {self.value(window)}")
            self.set(f"{pot}.s = {self.value(spent)}")
            self.set(f"{pot}.f = {pot}.c + {self.value(free)}")
        else:
            if spent:
                self.set(f"{pot}.s = {pot}.s + {self.value(spent)}")
            if free:
                self.set(f"{pot}.f = {pot}.f + {self.value(free)}")
        if taking and free < 0:
            self.unless(f"{pot}.{'f' if before == window else 'c'} >= {self.value(-free)}")

    def add(self, name: str, entry: Entry, room: int) -> None:
        path = self._entry(name)
        self.unless(f"size(l_open) < {self.value(room)} AND attribute_not_exists({path})")
        self.set(f"{path} = {self.value(entry.row())}")

    def replace(self, name: str, before: Entry, after: Entry) -> None:
        path = self._unchanged(name, before)
        self.set(f"{path} = {self.value(after.row())}")

    def close(self, name: str, entry: Entry) -> None:
        self._removes.append(self._unchanged(name, entry))

    def _unchanged(self, name: str, entry: Entry) -> str:
        """A call's entry is the same while its bound is, and until it is given up; a lease's may change all over."""
        path = self._entry(name)
        if entry.lease:
            self.unless(f"{path} = {self.value(entry.row())}")
        else:
            given_up = "attribute_exists" if entry.given_up else "attribute_not_exists"
            self.unless(f"{path}.b = {self.value(entry.bound)} AND {given_up}({path}.y)")
        return path

    def _entry(self, name: str) -> str:
        place = f"#e{len(self._names)}"
        self._names[place] = name
        return f"l_open.{place}"
