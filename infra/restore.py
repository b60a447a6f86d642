"""Takes a table back to an earlier point, and takes along what another stack has left.

    make restore TABLE=tasks AT=2026-11-29T03:00:00Z         the table as it was then, beside the table as it is
    make restore TABLE=tasks KEYS='[{"id": "task_01m8"}]'    what taking these items back would change
    make restore TABLE=tasks KEYS=all WRITE=1                takes the whole table back
    make adopt FROM=quintet-dev- WRITE=1                     all tables of a stack that was deleted, into this one

A table keeps its name, its stream and its place in its stack: what it holds is made what the other one holds, item by
item. `docs/operations.md` says what has to rest meanwhile.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

from infra.copying import Change, Key, adopt, changes, write
from infra.local.template import Template
from infra.release import CONFIG, ROOT, Stack, stack_name

ASIDE = "-restored"
_LOOK_SECONDS = 20.0
_AGAIN = {"ContinuousBackupsUnavailableException", "LimitExceededException", "ResourceInUseException"}


def declared() -> dict[str, dict[str, Any]]:
    """What infra/data.yaml says of every table, by its name without the prefix."""
    tables = Template(ROOT / "infra" / "data.yaml").of_type("AWS::DynamoDB::Table")
    return {properties["TableName"]["Fn::Sub"].removeprefix("${Prefix}"): properties for _, properties in tables}


def beside(dynamodb: Any, source: str, at: datetime, said: Mapping[str, Any], pause: float = _LOOK_SECONDS) -> str:
    """Restores a table under another name, under the same key, and gives it what a restored table lacks.

    Raises SystemExit where it cannot be.
    """
    target = source + ASIDE
    asked: dict[str, Any] = {"SourceTableName": source, "TargetTableName": target, "RestoreDateTime": at}
    key = dynamodb.describe_table(TableName=source)["Table"].get("SSEDescription", {}).get("KMSMasterKeyArn")
    if key:
        asked["SSESpecificationOverride"] = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    try:
        dynamodb.restore_table_to_point_in_time(**asked)
    except ClientError as error:
        sys.exit(f"make restore: {_why(dynamodb, source, target, error)}")
    _until_there(dynamodb, target, pause)
    on = said["PointInTimeRecoverySpecification"]
    _patiently(lambda: dynamodb.update_continuous_backups(TableName=target, PointInTimeRecoverySpecification=on), pause)
    if "TimeToLiveSpecification" in said:
        ends = said["TimeToLiveSpecification"]
        _patiently(lambda: dynamodb.update_time_to_live(TableName=target, TimeToLiveSpecification=ends), pause)
    if "StreamSpecification" in said:
        stream = {"StreamEnabled": True, **said["StreamSpecification"]}
        _patiently(lambda: dynamodb.update_table(TableName=target, StreamSpecification=stream), pause)
        _until_there(dynamodb, target, pause)
    return target


def _why(dynamodb: Any, source: str, target: str, error: ClientError) -> str:
    code = error.response["Error"]["Code"]
    if code == "TableAlreadyExistsException":
        return f"{target} is there already: delete it first, or go on with it"
    if code == "InvalidRestoreTimeException":
        told = dynamodb.describe_continuous_backups(TableName=source)["ContinuousBackupsDescription"]
        window = told.get("PointInTimeRecoveryDescription", {})
        first, last = window.get("EarliestRestorableDateTime"), window.get("LatestRestorableDateTime")
        return f"{source} can be taken back to any second from {first} to {last}"
    return f"{source} cannot be restored: {error}"


def _until_there(dynamodb: Any, table: str, pause: float) -> None:
    """A large table takes an hour."""
    while dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        time.sleep(pause)


def _patiently(change: Callable[[], Any], pause: float, attempts: int = 30) -> None:
    """A table that was just made is being backed up, and one change at a time is all that it takes."""
    for attempt in range(1, attempts + 1):
        try:
            change()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _AGAIN or attempt == attempts:
                raise
            time.sleep(pause)
        else:
            return


def main() -> None:
    parser = argparse.ArgumentParser(prog="make restore", description=__doc__)
    parser.add_argument("--env", default="dev", help="an environment of samconfig.toml")
    parser.add_argument("--table", default="", help="a table of infra/data.yaml, without the stack's name")
    parser.add_argument("--at", default="", help="the point in time, as RFC 3339 has it")
    parser.add_argument("--keys", default="", help="'all', or a JSON list of keys")
    parser.add_argument("--adopt", default="", help="the prefix of another stack's tables")
    parser.add_argument("--write", default="", help="do it; otherwise it is only shown")
    options = parser.parse_args()
    session = botocore.session.get_session()
    stack = Stack.described(session.create_client("cloudformation"), stack_name(ROOT / CONFIG, options.env))
    print(run(options, session.create_client("dynamodb"), stack.outputs["TablePrefix"]))


def run(options: argparse.Namespace, dynamodb: Any, prefix: str) -> str:
    """What was done, or would be. Raises SystemExit for what makes no sense."""
    if options.adopt:
        return _adopted(dynamodb, options.adopt, prefix, bool(options.write))
    known = declared()
    if options.table not in known:
        sys.exit(f"make restore: TABLE is one of {', '.join(sorted(known))}")
    table = prefix + options.table
    if options.at:
        target = beside(dynamodb, table, _moment(options.at), known[options.table])
        return f"{target} holds {table} as of {options.at}. Delete it when nothing of it is needed any more."
    if not options.keys:
        sys.exit("make restore: say AT=<when> to restore the table, or KEYS=<which> to take items back")
    found = changes(dynamodb, table + ASIDE, table, _keys(options.keys, known[options.table]))
    if options.write:
        return f"{write(dynamodb, table, found)} items of {table} were taken back"
    return _shown(table, found)


def _adopted(dynamodb: Any, source: str, target: str, doing: bool) -> str:
    if doing:
        changed = adopt(dynamodb, source, target, declared())
        return "\n".join([*(f"{target}{name}: {count} items" for name, count in changed.items()), _SECRETS])
    return "\n".join(_counted(target + name, changes(dynamodb, source + name, target + name)) for name in declared())


_SECRETS = """
Sign-ins end, unless this stack's signing secret becomes that of the other. Fill in the integrations' secret again, copy
what lies in the bucket of artifacts, and open the vault with its password."""


def _counted(table: str, found: Iterable[Change]) -> str:
    kinds = [each.item is None for each in found]
    return f"{table}: {kinds.count(False)} items would be written, {kinds.count(True)} deleted (WRITE=1 does it)"


def _shown(table: str, found: Iterable[Change]) -> str:
    known = list(found)
    lines = [f"{'delete' if each.item is None else 'write '} {json.dumps(each.key)}" for each in known]
    return "\n".join([*lines, _counted(table, known)])


def _keys(text: str, said: Mapping[str, Any]) -> list[Key] | None:
    if text == "all":
        return None
    try:
        keys = json.loads(text)
    except ValueError:
        sys.exit("make restore: KEYS is 'all', or a JSON list of keys")
    found = keys if isinstance(keys, list) else [keys]
    names = [each["AttributeName"] for each in said["KeySchema"]]
    for key in found:
        if not isinstance(key, dict) or {*key} not in ({*names}, {names[0]}):
            sys.exit(f"make restore: a key has {' and '.join(names)}, or {names[0]} alone: {json.dumps(key)}")
    return found


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        sys.exit(f"make restore: AT is a moment such as {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
