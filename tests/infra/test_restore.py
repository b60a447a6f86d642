"""Tables taken back to an earlier point: what AWS is asked for, and what becomes of the items."""

import asyncio
import json
import secrets
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from infra import restore
from infra.local.template import Template
from tests import localstack
from tests.conftest import Stack, as_function, copy_tables
from tests.upgrade.recording import Recording, items_of

KEY = "arn:aws:kms:eu-west-1:000000000000:key/11111111-2222-3333-4444-555555555555"
AT = datetime(2026, 11, 29, 3, tzinfo=UTC)
SOURCE, ASIDE = "quintet-dev-tasks", "quintet-dev-tasks-restored"


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    """Every request and answer is held to AWS's own model of them, and to its order."""
    client = botocore.session.get_session().create_client(
        "dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def _described(stubber: Stubber, name: str, status: str) -> None:
    encrypted = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": KEY}
    told = {"Table": {"TableName": name, "TableStatus": status, "SSEDescription": encrypted}}
    stubber.add_response("describe_table", told, {"TableName": name})


def _restoring() -> dict[str, Any]:
    encrypted = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
    return {
        "SourceTableName": SOURCE,
        "TargetTableName": ASIDE,
        "RestoreDateTime": AT,
        "SSESpecificationOverride": encrypted,
    }


@pytest.mark.parametrize("table", ["configuration", "requests", "tasks"])
def test_a_restored_table_gets_what_the_template_says(stubbed: tuple[Any, Stubber], table: str) -> None:
    client, stubber = stubbed
    said = restore.declared()[table]
    _described(stubber, SOURCE, "ACTIVE")
    stubber.add_response("restore_table_to_point_in_time", {}, _restoring())
    for status in ("CREATING", "ACTIVE"):
        _described(stubber, ASIDE, status)
    on = {"TableName": ASIDE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    stubber.add_client_error("update_continuous_backups", "ContinuousBackupsUnavailableException", expected_params=on)
    stubber.add_response("update_continuous_backups", {}, on)
    if "TimeToLiveSpecification" in said:
        ends = {"AttributeName": "expires_at", "Enabled": True}
        expected = {"TableName": ASIDE, "TimeToLiveSpecification": ends}
        stubber.add_response("update_time_to_live", {"TimeToLiveSpecification": ends}, expected)
    if "StreamSpecification" in said:
        stream = {"StreamEnabled": True, **said["StreamSpecification"]}
        stubber.add_response("update_table", {}, {"TableName": ASIDE, "StreamSpecification": stream})
        _described(stubber, ASIDE, "ACTIVE")
    assert restore.beside(client, SOURCE, AT, said, pause=0) == ASIDE


def test_a_moment_out_of_reach_is_refused_with_those_that_are_not(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    _described(stubber, SOURCE, "ACTIVE")
    stubber.add_client_error("restore_table_to_point_in_time", "InvalidRestoreTimeException")
    window = {"EarliestRestorableDateTime": AT - timedelta(days=35), "LatestRestorableDateTime": AT}
    told = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": window}
    stubber.add_response("describe_continuous_backups", {"ContinuousBackupsDescription": told})
    with pytest.raises(SystemExit, match="from 2026-10-25 03:00:00"):
        restore.beside(client, SOURCE, AT, restore.declared()["tasks"], pause=0)


def test_what_was_restored_before_is_not_overwritten(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    _described(stubber, SOURCE, "ACTIVE")
    stubber.add_client_error("restore_table_to_point_in_time", "TableAlreadyExistsException")
    with pytest.raises(SystemExit, match="delete it first"):
        restore.beside(client, SOURCE, AT, restore.declared()["tasks"], pause=0)


def _row(part: str, told: str, identifier: str = "task_1") -> dict[str, Any]:
    return {"id": {"S": identifier}, "part": {"S": part}, "told": {"S": told}}


@pytest.fixture
def dynamodb(stack: Stack) -> Any:
    return stack.endpoint.client("dynamodb")


@pytest.fixture(scope="module")
def prefix(stack: Stack) -> str:
    return copy_tables(stack, f"{secrets.token_hex(4)}-")


def _asked(**given: str) -> Namespace:
    return Namespace(**{"table": "", "at": "", "keys": "", "adopt": "", "write": ""} | given)


@pytest.mark.skipif(localstack.wanted(), reason="LocalStack restores no tables")
def test_a_table_is_restored_beside_and_items_are_taken_back_from_it(dynamodb: Any, prefix: str) -> None:
    table = f"{prefix}tasks"
    then = [_row("head", "then"), _row("body", "then"), _row("head", "then", "task_2"), _row("head", "then", "task_3")]
    for each in then:
        dynamodb.put_item(TableName=table, Item=each)
    told = restore.run(_asked(table="tasks", at=datetime.now(UTC).isoformat()), dynamodb, prefix)
    assert f"{table}-restored" in told
    described = dynamodb.describe_table(TableName=f"{table}-restored")["Table"]
    assert described["KeySchema"] == dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
    ends = dynamodb.describe_time_to_live(TableName=f"{table}-restored")["TimeToLiveDescription"]
    assert (ends["AttributeName"], ends["TimeToLiveStatus"]) == ("expires_at", "ENABLED")

    for each in (_row("head", "now"), _row("step#000", "now"), _row("head", "now", "task_2"), _row("head", "n", "t4")):
        dynamodb.put_item(TableName=table, Item=each)
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "task_3"}, "part": {"S": "head"}})
    one = _asked(table="tasks", keys=json.dumps({"id": "task_1"}))
    assert "1 items would be written, 1 deleted" in restore.run(one, dynamodb, prefix)
    assert _row("head", "now") in items_of(dynamodb, table), "it was only shown"
    one.write = "1"
    assert restore.run(one, dynamodb, prefix) == f"2 items of {table} were taken back"
    own = [each for each in items_of(dynamodb, table) if each["id"]["S"] == "task_1"]
    assert sorted(map(str, own)) == sorted(map(str, then[:2]))
    assert _row("head", "now", "task_2") in items_of(dynamodb, table), "nobody asked for this one"

    exact = _asked(table="tasks", keys='[{"id": "task_2", "part": "head"}]', write="1")
    assert restore.run(exact, dynamodb, prefix) == f"1 items of {table} were taken back"
    restore.run(_asked(table="tasks", keys="all", write="1"), dynamodb, prefix)
    assert sorted(map(str, items_of(dynamodb, table))) == sorted(map(str, then))
    assert "0 items would be written, 0 deleted" in restore.run(_asked(table="tasks", keys="all"), dynamodb, prefix)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"table": "task"}, "TABLE is one of accounts, agents"),
        ({"table": "tasks"}, "say AT="),
        ({"table": "tasks", "at": "yesterday"}, "AT is a moment such as"),
        ({"table": "tasks", "keys": "task_1"}, "KEYS is 'all', or a JSON list"),
        ({"table": "tasks", "keys": '{"part": "head"}'}, "a key has id and part, or id alone"),
    ],
)
def test_what_makes_no_sense_is_refused(dynamodb: Any, prefix: str, given: dict[str, str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        restore.run(_asked(**given), dynamodb, prefix)


def test_all_that_a_deleted_stack_has_left_is_taken_along(
    stack: Stack, dynamodb: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = copy_tables(stack, f"left-{prefix}")
    recording = Recording.read("0.9.0")
    with as_function(stack, monkeypatch, {"TABLE_PREFIX": left}):
        asyncio.run(recording.load())
    waiting = {"pk": {"S": "outbox#03"}, "sk": {"S": "evt_1"}}
    dynamodb.put_item(TableName=f"{left}events", Item=waiting)
    dynamodb.put_item(TableName=f"{prefix}users", Item={"id": {"S": "login#admin"}, "user_id": {"S": "the new one"}})
    assert f"{prefix}vault: 3 items would be written, 0 deleted" in restore.run(_asked(adopt=left), dynamodb, prefix)
    told = restore.run(_asked(adopt=left, write="1"), dynamodb, prefix)
    assert "signing secret" in told
    for table in recording.tables:
        now = sorted(map(str, items_of(dynamodb, prefix + table)))
        assert now == sorted(map(str, items_of(dynamodb, left + table))), table
    order = [line.removeprefix(prefix).split(":")[0] for line in told.splitlines() if line.startswith(prefix)]
    assert order.index("deliveries") < order.index("events") < order.index("requests")
    assert order.index("series") < order.index("requests")


def test_everything_that_holds_data_outlives_its_stack_and_can_be_taken_back(repository: Path) -> None:
    data = Template(repository / "infra" / "data.yaml")
    for name, resource in data.resources.items():
        kept = resource["Type"] in {
            "AWS::DynamoDB::Table",
            "AWS::KMS::Key",
            "AWS::S3::Bucket",
            "AWS::SecretsManager::Secret",
        }
        policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        assert policies == (("Retain", "Retain") if kept else (None, None)), name
    for name, properties in restore.declared().items():
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name
        assert properties["SSESpecification"]["SSEType"] == "KMS", name
        assert properties.get("TimeToLiveSpecification", {}).get("AttributeName", "expires_at") == "expires_at", name
