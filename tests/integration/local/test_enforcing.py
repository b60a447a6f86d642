"""What the emulator holds a role to, and what it does not: the tests of functions in their roles prove no more."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from infra.local.emulator import Emulator

ACCOUNT = "000000000000"
KEY = {"id": {"S": "mine"}}
ANYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
Client = Callable[[str], Any]


@pytest.fixture(scope="module")
def tables(emulator: Emulator) -> tuple[str, str]:
    names = (f"one-{secrets.token_hex(4)}", f"two-{secrets.token_hex(4)}")
    dynamodb = emulator.endpoint.client("dynamodb")
    for name in names:
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("id", "name")],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_name",
                    "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    return names


def somebody(emulator: Emulator, action: str, resource: str, **more: Any) -> Client:
    """Clients of one who may do this alone."""
    endpoint, name = emulator.endpoint, f"role-{secrets.token_hex(4)}"
    iam, version = endpoint.client("iam"), "2012-10-17"
    trust = {"Version": version, "Statement": [ANYBODY]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    document = json.dumps({"Version": version, "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    given = endpoint.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]

    def client(service: str) -> Any:
        return botocore.session.get_session().create_client(
            service,
            endpoint_url=endpoint.url,
            region_name=endpoint.region,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    return client


def refused(operation: Callable[..., Any], **request: Any) -> bool:
    try:
        operation(**request)
    except ClientError as error:
        if error.response["Error"]["Code"].startswith("AccessDenied"):
            return True
        raise
    return False


def table_arn(name: str) -> str:
    return f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}"


def test_a_role_has_its_action_on_its_table_and_nothing_else(emulator: Emulator, tables: tuple[str, str]) -> None:
    one, two = tables
    dynamodb = somebody(emulator, "dynamodb:GetItem", table_arn(one))("dynamodb")
    assert not refused(dynamodb.get_item, TableName=one, Key=KEY)
    assert refused(dynamodb.get_item, TableName=two, Key=KEY)
    assert refused(dynamodb.delete_item, TableName=one, Key=KEY)


def test_an_index_is_another_resource_than_its_table(emulator: Emulator, tables: tuple[str, str]) -> None:
    one, _ = tables
    query: dict[str, Any] = {"TableName": one, "ExpressionAttributeValues": {":v": {"S": "x"}}}
    by_key = {**query, "KeyConditionExpression": "id = :v"}
    by_name = {
        **query,
        "IndexName": "by_name",
        "KeyConditionExpression": "#n = :v",
        "ExpressionAttributeNames": {"#n": "name"},
    }
    of_index = somebody(emulator, "dynamodb:Query", f"{table_arn(one)}/index/by_name")("dynamodb")
    assert not refused(of_index.query, **by_name)
    assert refused(of_index.query, **by_key)
    of_table = somebody(emulator, "dynamodb:Query", table_arn(one))("dynamodb")
    assert refused(of_table.query, **by_name)


def test_each_part_of_a_batch_or_a_transaction_has_to_be_permitted(emulator: Emulator, tables: tuple[str, str]) -> None:
    one, two = tables
    reader = somebody(emulator, "dynamodb:BatchGetItem", table_arn(one))("dynamodb")
    assert not refused(reader.batch_get_item, RequestItems={one: {"Keys": [KEY]}})
    assert refused(reader.batch_get_item, RequestItems={name: {"Keys": [KEY]} for name in tables})
    writer = somebody(emulator, "dynamodb:PutItem", table_arn(one))("dynamodb")
    puts = [{"Put": {"TableName": name, "Item": KEY}} for name in (one, two)]
    assert not refused(writer.transact_write_items, TransactItems=puts[:1])
    assert refused(writer.transact_write_items, TransactItems=puts)


def test_conditions_on_an_items_key_are_not_known_to_it(emulator: Emulator, tables: tuple[str, str]) -> None:
    """Our templates have none. One `ForAllValues` would hold for everybody here, one `ForAnyValue` for nobody."""
    one, _ = tables
    mine = {"dynamodb:LeadingKeys": ["mine"]}
    for quantifier, refuses in (("ForAllValues", False), ("ForAnyValue", True)):
        condition = {f"{quantifier}:StringEquals": mine}
        dynamodb = somebody(emulator, "dynamodb:GetItem", table_arn(one), Condition=condition)("dynamodb")
        for name in ("mine", "theirs"):
            assert refused(dynamodb.get_item, TableName=one, Key={"id": {"S": name}}) == refuses


def test_nobody_is_asked_for_a_role_that_is_passed_on(emulator: Emulator) -> None:
    """The one condition that our functions' permissions have is on that."""
    scheduler = somebody(emulator, "scheduler:CreateSchedule", "*")("scheduler")
    queue = emulator.endpoint.client("sqs").create_queue(QueueName=f"queue-{secrets.token_hex(4)}")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue.rpartition('/')[2]}"
    assert not refused(
        scheduler.create_schedule,
        Name=f"s-{secrets.token_hex(4)}",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
    )
