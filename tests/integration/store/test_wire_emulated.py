"""The signed call against a whole DynamoDB: it checks the signature, and its items and refusals are the real ones."""

import asyncio
import uuid
from typing import Any

import pytest
from pynamodb.connection import Connection

from quintet.settings import settings
from quintet.store.wire import Reason, WireError, call, from_item, to_item, watched
from tests.loops import on_a_loop

pytestmark = pytest.mark.usefixtures("function_environment")


def table() -> str:
    return settings().table("events")


def key(name: str) -> dict[str, Any]:
    return to_item({"pk": f"wire#{name}", "sk": "0"})


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@on_a_loop
async def test_an_item_comes_back_as_it_was_put(name: str) -> None:
    item = {
        "pk": f"wire#{name}",
        "sk": "0",
        "text": "é\n\x00",
        "whole": 10**37,
        "part": 0.1,
        "small": 1e-7,
        "none": None,
        "flag": True,
        "bytes": b"\x00\xff",
        "nested": {"list": [1, {"a": []}]},
        "tags": {"x", "y"},
    }
    await call("PutItem", {"TableName": table(), "Item": to_item(item)})
    answer = await call("GetItem", {"TableName": table(), "Key": key(name), "ConsistentRead": True})
    assert from_item(answer["Item"]) == item


@on_a_loop
async def test_pynamodb_reads_what_the_wire_writes(name: str) -> None:
    await call("PutItem", {"TableName": table(), "Item": {**key(name), **to_item({"n": 1.5})}})
    connection = Connection(region=settings().aws_region)
    theirs = await asyncio.to_thread(
        connection.client.get_item, TableName=table(), Key={"pk": {"S": f"wire#{name}"}, "sk": {"S": "0"}}
    )
    assert theirs["Item"]["n"] == {"N": "1.5"}


@on_a_loop
async def test_an_unmet_condition_brings_the_old_item(name: str) -> None:
    request = {
        "TableName": table(),
        "Item": {**key(name), **to_item({"n": 1})},
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    await call("PutItem", request)
    with pytest.raises(WireError) as refused:
        await call("PutItem", request)
    assert refused.value.unmet
    assert refused.value.item is not None
    assert refused.value.item["n"] == 1


@on_a_loop
async def test_a_cancelled_transaction_names_the_part_and_its_item(name: str) -> None:
    await call("PutItem", {"TableName": table(), "Item": {**key(name), **to_item({"n": 1})}})
    put = {"TableName": table(), "Item": key(f"{name}-other")}
    check = {
        "TableName": table(),
        "Key": key(name),
        "ConditionExpression": "n > :n",
        "ExpressionAttributeValues": to_item({":n": 1}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(WireError) as refused:
        await call("TransactWriteItems", {"TransactItems": [{"Put": put}, {"ConditionCheck": check}]})
    assert refused.value.unmet
    assert refused.value.reasons[0] == Reason("None", None)
    assert refused.value.reasons[1].code == "ConditionalCheckFailed"


@on_a_loop
async def test_concurrent_additions_all_count(name: str) -> None:
    addition = {
        "TableName": table(),
        "Key": key(name),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": to_item({":one": 1}),
        "ReturnValues": "UPDATED_NEW",
    }
    answers = await asyncio.gather(*(call("UpdateItem", addition) for _ in range(50)))
    assert sorted(from_item(answer["Attributes"])["n"] for answer in answers) == list(range(1, 51))


@on_a_loop
async def test_says_what_a_call_consumed(name: str) -> None:
    with watched(capacity=True) as calls:
        await call("PutItem", {"TableName": table(), "Item": key(name)})
    assert [(one.operation, one.units) for one in calls] == [("PutItem", 1.0)]


@on_a_loop
async def test_a_table_that_is_not_there_is_the_callers_mistake() -> None:
    with watched() as calls, pytest.raises(WireError, match="ResourceNotFoundException"):
        await call("GetItem", {"TableName": "quintet-none", "Key": key("a")})
    assert len(calls) == 1


@on_a_loop
async def test_another_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(WireError):
        await call("GetItem", {"TableName": table(), "Key": key("a")})
