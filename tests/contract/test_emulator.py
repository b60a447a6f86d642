"""The emulator with its partitions in order answers what it answers without; its reads cost what DynamoDB's do."""

import asyncio
import importlib.util
import json
import random
from types import ModuleType
from typing import Any

from infra.local import partitions, units

KEYS = {"id": "S", "at": "N", "word": "S", "code": "B"}
TABLE = {
    "TableName": "things",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in KEYS.items()],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": name,
            "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}, *ranges],
            "Projection": {"ProjectionType": kind},
        }
        for name, kind, ranges in (
            ("by-code", "KEYS_ONLY", [{"AttributeName": "code", "KeyType": "RANGE"}]),
            ("by-word", "ALL", []),
        )
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-rank",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "word", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
CONDITIONS = ("=", "<", "<=", ">", ">=", "BETWEEN", "begins_with", "turned", "")
CODES = ("AA==", "AAE=", "AQ==", "AQEB", "/w==")


def test_every_query_is_answered_as_without_the_mend() -> None:
    plain, mended = _emulator("plain"), _emulator("mended")
    partitions.apply(mended)
    chance = random.Random(7)
    assert _both(plain, mended, "CreateTable", TABLE)[0] == 200
    for _ in range(120):
        for _ in range(3):
            _both(plain, mended, *_write(chance))
        query = _query(chance)
        for _ in range(4):
            status, answer = _both(plain, mended, "Query", query)
            if status != 200 or "LastEvaluatedKey" not in answer:
                break
            query = query | {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def test_items_that_are_replaced_wholesale_are_put_in_order_anew() -> None:
    mended = _emulator("restored")
    partitions.apply(mended)
    _ask(mended, "CreateTable", TABLE)
    query = {
        "TableName": "things",
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": "a"}},
    }
    for at in ("2", "1"):
        _ask(mended, "PutItem", {"TableName": "things", "Item": {"id": {"S": "a"}, "at": {"N": at}}})
        _ask(mended, "Query", query)
    table = next(iter(mended._tables.values()))
    table["items"]["a"] = {"7": {"id": {"S": "a"}, "at": {"N": "7"}}}
    mended._items_replaced(table)
    assert [item["at"]["N"] for item in _ask(mended, "Query", query)[1]["Items"]] == ["7"]


def test_reads_cost_by_size() -> None:
    emulator = _emulator("counting")
    partitions.apply(emulator)
    units.apply(emulator)
    _ask(emulator, "CreateTable", TABLE)
    for at in range(20):
        item = {"id": {"S": "a"}, "at": {"N": str(at)}, "text": {"S": "x" * 1000}}
        _ask(emulator, "PutItem", {"TableName": "things", "Item": item})
    query = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": {"S": "a"}}}
    keys = [{"id": {"S": "a"}, "at": {"N": str(at)}} for at in range(3)]
    told = {"ReturnConsumedCapacity": "TOTAL", "TableName": "things"}

    def units_of(operation: str, request: dict[str, Any]) -> float:
        used = _ask(emulator, operation, {**told, **request})[1]["ConsumedCapacity"]
        return float(used[0]["CapacityUnits"] if isinstance(used, list) else used["CapacityUnits"])

    assert units_of("Query", query | {"ConsistentRead": True}) == 5  # of 20 KB, together
    assert units_of("Query", query | {"Limit": 4}) == 0.5
    assert units_of("Query", query | {"ExpressionAttributeValues": {":id": {"S": "none"}}}) == 0.5
    assert units_of("Scan", {}) == 2.5
    assert units_of("GetItem", {"Key": keys[0], "ConsistentRead": True}) == 1
    assert units_of("BatchGetItem", {"RequestItems": {"things": {"Keys": keys, "ConsistentRead": True}}}) == 3
    gets = [{"Get": {"TableName": "things", "Key": key}} for key in keys]
    assert units_of("TransactGetItems", {"TransactItems": gets}) == 6


def _both(plain: ModuleType, mended: ModuleType, operation: str, request: dict[str, Any]) -> tuple[int, Any]:
    answers = [_ask(each, operation, request) for each in (plain, mended)]
    if operation != "CreateTable":  # it tells the time
        assert answers[0] == answers[1], (operation, request)
    return answers[1]


def _write(chance: random.Random) -> tuple[str, dict[str, Any]]:
    key = {"id": {"S": chance.choice("ab")}, "at": {"N": str(chance.randrange(-9, 9))}}
    if chance.random() < 0.3:
        return "DeleteItem", {"TableName": "things", "Key": key}
    item: dict[str, Any] = {**key, "extra": {"N": str(chance.randrange(3))}}
    if chance.random() < 0.9:
        item["word"] = {"S": chance.choice(("x", "xy", "y", "ü"))}
    if chance.random() < 0.8:
        item["code"] = {"B": chance.choice(CODES)}
    return "PutItem", {"TableName": "things", "Item": item}


def _query(chance: random.Random) -> dict[str, Any]:
    index, partition, key = chance.choice(
        ((None, "id", "at"), ("by-code", "word", "code"), ("by-word", "word", ""), ("by-rank", "id", "word"))
    )
    values = {":p": {"S": chance.choice("ab") if partition == "id" else chance.choice(("x", "xy", "y"))}}
    condition = "#p = :p" if chance.random() < 0.5 else ":p = #p"
    relation = chance.choice(CONDITIONS) if key else ""
    if relation:
        low, high = sorted((_value(chance, key), _value(chance, key)), key=str)
        values |= {":v": low}
        condition += " AND " + {
            "BETWEEN": "#r BETWEEN :v AND :w",
            "begins_with": "begins_with(#r, :v)",
            "turned": ":v < #r",
        }.get(relation, f"#r {relation} :v")
        if relation == "BETWEEN":
            values[":w"] = high
    query: dict[str, Any] = {
        "TableName": "things",
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": {"#p": partition, **({"#r": key} if relation else {})},
        "ExpressionAttributeValues": values,
        "ScanIndexForward": chance.random() < 0.5,
    }
    if index:
        query["IndexName"] = index
    if chance.random() < 0.7:
        query["Limit"] = chance.randrange(1, 5)
    if chance.random() < 0.3:
        query |= {"FilterExpression": "extra > :zero"}
        query["ExpressionAttributeValues"] = values | {":zero": {"N": "0"}}
    return query


def _value(chance: random.Random, key: str) -> dict[str, str]:
    if key == "at":
        return {"N": str(chance.randrange(-9, 9))}
    return {"B": chance.choice(CODES)} if key == "code" else {"S": chance.choice(("x", "xy", "y"))}


def _ask(emulator: ModuleType, operation: str, request: dict[str, Any]) -> tuple[int, Any]:
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    status, _, body = asyncio.run(emulator.handle_request("POST", "/", headers, json.dumps(request).encode(), {}))
    return status, json.loads(body)


def _emulator(name: str) -> ModuleType:
    """MiniStack's DynamoDB, a copy of its own."""
    known = importlib.util.find_spec("ministack.services.dynamodb")
    assert known
    spec = importlib.util.spec_from_file_location(f"dynamodb_{name}", str(known.origin))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
