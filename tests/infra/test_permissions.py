"""Every function may do what its code does, and nothing else."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.local.template import Template
from tests.infra.permissions import ANY, Code, Use

_TABLE = re.compile(r"StackName\}-([a-z-]+)")
# What a function's code can reach by its names and is never asked there: a whole table or service, with the reason.
UNREACHED: Mapping[str, Mapping[str, str]] = {
    "AdminFunction": {"bedrock": "it reads the adapters' kinds and calls no model"},
    "FanoutFunction": {"tasks": "an event is read from its own entry, never from the task it tells of"},
    "InboxFunction": dict.fromkeys(("keys", "sessions", "users"), "nobody comes through a door: the house pays"),
    "LifeFunction": dict.fromkeys(("keys", "sessions", "users"), "nobody comes through a door: the house pays"),
    "PersonasFunction": {"states": "it puts a task down; the workflow's sweep starts the execution"},
    "SocketsFunction": dict.fromkeys(("series", "tasks"), "what it tells comes from the log"),
    "WebhooksFunction": {"alerts": "only the deliver function gives an endpoint up"},
}


@pytest.fixture
def template(repository: Path) -> Template:
    return Template(repository / "template.yaml")


@pytest.fixture
def code(repository: Path, template: Template) -> Code:
    return _code(repository, _tables_of(template))


@cache
def _code(repository: Path, tables: frozenset[str]) -> Code:
    return Code(repository / "layers/core", repository / "functions", known=tables)


def test_no_function_may_do_what_its_code_never_does(code: Code, template: Template) -> None:
    surplus = {
        name: left
        for name, function in template.of_type("AWS::Serverless::Function")
        if (left := sorted(_granted(function, template) - _used(code, function) - _platforms(function)))
        and (left := [use for use in left if (ANY, use[1]) not in _used(code, function)])
    }
    assert surplus == {}


def test_every_function_may_reach_the_tables_and_services_that_its_code_names(code: Code, template: Template) -> None:
    for name, function in template.of_type("AWS::Serverless::Function"):
        granted = {what for what, _ in _granted(function, template)}
        missing = {what for what, _ in _used(code, function)} - granted - {ANY}
        assert missing == set(UNREACHED.get(name, {})), name


def test_permissions_name_tables_that_there_are(template: Template) -> None:
    tables = _tables_of(template)
    services = {"bedrock", "cloudwatch", "execute-api", "iam", "kms", "s3", "scheduler", "secretsmanager"}
    services |= {"sqs", "states"}
    for name, function in template.of_type("AWS::Serverless::Function"):
        assert {what for what, _ in _granted(function, template)} <= tables | services, name


def test_a_permission_too_many_or_a_table_too_few_is_found(code: Code, template: Template) -> None:
    _, function = next(each for each in template.of_type("AWS::Serverless::Function") if each[0] == "IdentityFunction")
    used = _used(code, function)
    assert ("flows", "PutItem") in used
    assert ("flows", "BatchWriteItem") not in used
    assert ("tasks", "GetItem") not in used


def test_only_what_has_no_name_is_permitted_on_everything(template: Template) -> None:
    open_to_all = {
        action
        for _, function in template.of_type("AWS::Serverless::Function")
        for statement in _statements(function, template)
        if "*" in _listed(statement["Resource"])
        for action in _listed(statement["Action"])
    }
    assert open_to_all == {"cloudwatch:GetMetricData", "states:SendTaskSuccess"}


def _used(code: Code, function: Mapping[str, Any]) -> set[Use]:
    return set(code.uses(function["Handler"].partition(".")[0]))


def _platforms(function: Mapping[str, Any]) -> set[Use]:
    """What Lambda and the scheduler do in the function's name."""
    schedules = {"Ref": "DeliveryQueuePolicy"} in function["Policies"]
    streams = any("OnFailure" in str(event) for event in function.get("Events", {}).values())
    return {("iam", "PassRole") for _ in range(schedules)} | {("sqs", "SendMessage") for _ in range(streams)}


def _granted(function: Mapping[str, Any], template: Template) -> set[Use]:
    found: set[Use] = set()
    for statement in _statements(function, template):
        for action in _listed(statement["Action"]):
            service, _, name = action.partition(":")
            if service == "dynamodb":
                found |= {(_TABLE.findall(str(resource))[0], name) for resource in _listed(statement["Resource"])}
            else:
                found.add((service, name))
    return found


def _statements(function: Mapping[str, Any], template: Template) -> Iterator[dict[str, Any]]:
    for policy in function.get("Policies", []):
        if "Ref" in policy:
            statements = template.resources[policy["Ref"]]["Properties"]["PolicyDocument"]["Statement"]
        else:
            statements = policy["Statement"]
        for statement in statements:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _tables_of(template: Template) -> frozenset[str]:
    tables = template.nested["Data"].of_type("AWS::DynamoDB::Table")
    return frozenset(properties["TableName"]["Fn::Sub"].removeprefix("${Prefix}") for _, properties in tables)
