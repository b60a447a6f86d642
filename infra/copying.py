"""Makes one table hold what another one holds, under some keys or everywhere: item by item, and only what differs."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

Item = dict[str, Any]  # as botocore has it: {"id": {"S": "..."}}
Key = Mapping[str, Any]  # plain: {"id": "..."}; without its range key it means all of the partition

_READ_TOGETHER = 100
_WRITTEN_TOGETHER = 25
_OUTBOX = "outbox#"


@dataclass(frozen=True, slots=True)
class Change:
    """`item` is what is to stand there; without one there is to be nothing under `key`."""

    key: Item
    item: Item | None = None

    @property
    def request(self) -> dict[str, Any]:
        return {"DeleteRequest": {"Key": self.key}} if self.item is None else {"PutRequest": {"Item": self.item}}


def changes(dynamodb: Any, source: str, target: str, keys: Sequence[Key] | None = None) -> Iterator[Change]:
    """What makes the target hold what the source holds, under these keys or everywhere. Read as it is asked for."""
    schema = dynamodb.describe_table(TableName=source)["Table"]["KeySchema"]
    names = [each["AttributeName"] for each in schema]
    for items in _batches(_held(dynamodb, source, names, keys), _READ_TOGETHER):
        there = _under(dynamodb, target, names, items)
        yield from (Change(_key(each, names), each) for each in items if there.get(_place(each, names)) != each)
    for items in _batches(_held(dynamodb, target, names, keys), _READ_TOGETHER):
        kept = _under(dynamodb, source, names, items)
        yield from (Change(_key(each, names)) for each in items if _place(each, names) not in kept)


def write(dynamodb: Any, table: str, found: Iterable[Change]) -> int:
    """Answers how many."""
    count = 0
    for some in _batches(iter(found), _WRITTEN_TOGETHER):
        left: Any = {table: [each.request for each in some]}
        while left:
            left = dynamodb.batch_write_item(RequestItems=left).get("UnprocessedItems")
            if left:
                time.sleep(0.1)
        count += len(some)
    return count


def adopt(dynamodb: Any, source: str, target: str, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Everything of tables whose names begin with `source`, into those that begin with `target`.

    `tables` are what the template says of them. Consumers of streams look up whether they have seen what they are
    told: so what they look up is written before, and the log before the outbox, whose events are yet to get their
    numbers in it. Answers how many items of each table changed.
    """
    changed: dict[str, int] = {}
    for name in sorted(tables, key=lambda name: ("StreamSpecification" in tables[name], name)):
        found = changes(dynamodb, source + name, target + name)
        if name == "events":
            known = list(found)
            found = chain((each for each in known if not _waits(each)), (each for each in known if _waits(each)))
        changed[name] = write(dynamodb, target + name, found)
    return changed


def _waits(change: Change) -> bool:
    return bool(change.key["pk"]["S"].startswith(_OUTBOX))


def _held(dynamodb: Any, table: str, names: Sequence[str], keys: Sequence[Key] | None) -> Iterator[Item]:
    if keys is None:
        for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            yield from page["Items"]
        return
    for key in keys:
        given = [name for name in names if name in key]
        parts = {
            "KeyConditionExpression": " AND ".join(f"#{number} = :{number}" for number in range(len(given))),
            "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate(given)},
            "ExpressionAttributeValues": {f":{number}": {"S": str(key[name])} for number, name in enumerate(given)},
        }
        for page in dynamodb.get_paginator("query").paginate(TableName=table, ConsistentRead=True, **parts):
            yield from page["Items"]


def _under(dynamodb: Any, table: str, names: Sequence[str], items: Sequence[Item]) -> dict[str, Item]:
    """What a table holds under the keys of these items."""
    found: dict[str, Item] = {}
    left: Any = {table: {"Keys": [_key(each, names) for each in items], "ConsistentRead": True}}
    while left:
        answer = dynamodb.batch_get_item(RequestItems=left)
        found |= {_place(each, names): each for each in answer["Responses"].get(table, [])}
        left = answer.get("UnprocessedKeys")
    return found


def _key(item: Item, names: Sequence[str]) -> Item:
    return {name: item[name] for name in names}


def _place(item: Item, names: Sequence[str]) -> str:
    return json.dumps(_key(item, names), sort_keys=True)


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(items, size)):
        yield batch
