"""Dashboards, alarms and saved queries look at what there is, and every function is watched."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.local.template import Template
from operations.queues import QUEUES
from quintet.http.exchange import open_exchange
from quintet.telemetry import emf

# AWS's own, of the services that we use.
AWS_METRICS: Mapping[str, set[str]] = {
    "AWS/ApiGateway": {
        "4XXError",
        "5XXError",
        "ClientError",
        "ConnectCount",
        "Count",
        "ExecutionError",
        "IntegrationError",
        "IntegrationLatency",
        "Latency",
        "MessageCount",
    },
    "AWS/DynamoDB": {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
        "ReadThrottleEvents",
        "WriteThrottleEvents",
    },
    "AWS/Lambda": {
        "AsyncEventsDropped",
        "ConcurrentExecutions",
        "Duration",
        "Errors",
        "Invocations",
        "IteratorAge",
        "Throttles",
    },
    "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    "AWS/States": {
        "ExecutionTime",
        "ExecutionsAborted",
        "ExecutionsFailed",
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsTimedOut",
    },
}
OURS = {
    (emf.STACK, *emf.REQUEST_DIMENSIONS): set(emf.REQUEST),
    (emf.STACK, *emf.CALL_DIMENSIONS): set(emf.CALL),
}
STACK = "quintet"
_SEARCH = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<name>\w+)\"[^']*', '\w+', \d+\)")
Metric = tuple[str, str, dict[str, str]]


@pytest.fixture
def template(repository: Path) -> Template:
    return Template(repository / "template.yaml")


@pytest.fixture
def watching(template: Template) -> Template:
    return template.nested["Observability"]


def test_dashboards_show_only_what_somebody_emits(watching: Template, template: Template) -> None:
    shown = [metric for body in _dashboards(watching) for metric in _metrics(body)]
    assert len(shown) > 100
    _check(shown, template)


def test_alarms_look_only_at_what_somebody_emits(watching: Template, template: Template) -> None:
    alarms = [properties for _, properties in watching.of_type("AWS::CloudWatch::Alarm")]
    assert len(alarms) > 30
    _check(
        [
            (
                alarm["Namespace"],
                alarm["MetricName"],
                {each["Name"]: _plain(each["Value"]) for each in alarm.get("Dimensions", [])},
            )
            for alarm in alarms
        ],
        template,
    )


@pytest.mark.parametrize(
    "metric",
    [
        ("Quintet", "Nonsense", {"Stack": "quintet", "Group": "broker"}),
        ("Quintet", "CallCost", {"Stack": "quintet", "Group": "broker"}),
        ("Quintet", "Latency", {"Stack": "quintet", "Group": "nobody"}),
        ("AWS/Lambda", "Mistakes", {"FunctionName": "quintet-broker"}),
        ("AWS/Lambda", "Errors", {"FunctionName": "quintet-nobody"}),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": "quintet-nowhere"}),
    ],
)
def test_what_nobody_emits_is_found(template: Template, metric: Metric) -> None:
    with pytest.raises((AssertionError, KeyError)):
        _check([metric], template)


def test_all_that_is_declared_is_emitted() -> None:
    scope: dict[str, Any] = {"headers": [], "method": "POST", "path": "/v1/chat"}
    exchange = open_exchange(scope, "broker", datetime(2026, 11, 29, tzinfo=UTC))
    call = {
        "model": "m",
        "provider": "p",
        "status": "ok",
        "cost": 1,
        "latency_ms": 1,
        "overhead_ms": 1,
        "input_tokens": 1,
        "output_tokens": 1,
    }
    record = {"facts": {"calls": [call]}}
    for declared, lines in (
        (emf.REQUEST, [emf.request_line(exchange)]),
        (emf.CALL, list(emf.call_lines(exchange.at, record))),
    ):
        (line,) = map(json.loads, lines)
        (definition,) = line["_aws"]["CloudWatchMetrics"]
        assert {each["Name"]: each["Unit"] for each in definition["Metrics"]} == declared
        assert declared.keys() <= line.keys()


def test_widgets_lie_beside_each_other_on_a_grid_of_24(watching: Template) -> None:
    for body in _dashboards(watching):
        taken: set[tuple[int, int]] = set()
        for widget in body["widgets"]:
            cells = {
                (x, y)
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            }
            assert not taken & cells, widget["properties"]["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells
            assert widget["properties"]["region"] == "us-east-1"


def test_every_alarm_says_what_to_do_and_is_told_to_somebody(watching: Template) -> None:
    for name, alarm in watching.of_type("AWS::CloudWatch::Alarm"):
        assert "Runbook - " in alarm["AlarmDescription"], name
        assert len(alarm["AlarmDescription"]) <= 1024, name
        assert alarm["AlarmActions"] == [{"Ref": "Alarms"}], name


def test_the_address_for_alarms_is_optional(watching: Template) -> None:
    assert watching.document["Parameters"]["AlarmEmail"]["Default"] == ""
    assert watching.resources["AlarmsByEmail"]["Condition"] == "HasEmail"


def test_every_queue_for_failures_has_an_alarm(watching: Template, template: Template) -> None:
    failures = {name for name in _queues(template) if name.endswith("-failures")}
    watched = {
        _plain(alarm["Dimensions"][0]["Value"]).removeprefix(f"{STACK}-")
        for _, alarm in watching.of_type("AWS::CloudWatch::Alarm")
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert watched == failures
    assert set(QUEUES) == _queues(template)


def test_every_function_has_an_alarm_tracing_and_a_log_that_ends(watching: Template, template: Template) -> None:
    outputs = watching.document["Outputs"]
    alarmed = {
        _plain(alarm["Dimensions"][0]["Value"])
        for _, alarm in watching.of_type("AWS::CloudWatch::Alarm")
        if alarm["MetricName"] == "Errors"
    }
    assert template.globals["Tracing"] == "Active"
    for name, function in template.of_type("AWS::Serverless::Function"):
        assert function.get("Tracing", "Active") == "Active", name
        assert _plain(function["FunctionName"]) in alarmed, name
        stack, output = function["LoggingConfig"]["LogGroup"]["Fn::GetAtt"]
        assert stack == "Observability", name
        group = watching.resources[outputs[output.removeprefix("Outputs.")]["Value"]["Ref"]]["Properties"]
        assert _plain(group["LogGroupName"]) == f"/quintet/{STACK}/{function['Handler'].partition('.')[0]}"
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert template.resources["Observability"]["Properties"]["Parameters"]["LogRetentionDays"] == {
        "Ref": "LogRetentionDays"
    }


def test_nothing_that_comes_without_a_caller_is_lost_unseen(template: Template) -> None:
    redriven = {
        _plain(queue["QueueName"])
        for _, queue in template.nested["Data"].of_type("AWS::SQS::Queue")
        if "RedrivePolicy" in queue
    }
    for name, function in template.of_type("AWS::Serverless::Function"):
        for source, event in function.get("Events", {}).items():
            match event["Type"]:
                case "DynamoDB":
                    assert "OnFailure" in event["Properties"]["DestinationConfig"], (name, source)
                case "ScheduleV2":
                    assert "OnFailure" in function["EventInvokeConfig"]["DestinationConfig"], (name, source)
                case "SQS":
                    output = event["Properties"]["Queue"]["Fn::GetAtt"][1].removeprefix("Outputs.")
                    queue = template.nested["Data"].document["Outputs"][output]["Value"]["Fn::GetAtt"][0]
                    assert _plain(template.nested["Data"].resources[queue]["Properties"]["QueueName"]) in redriven
                case kind:
                    assert kind == "Api", (name, source)


def test_state_machines_are_traced(template: Template) -> None:
    for name, machine in template.of_type("AWS::Serverless::StateMachine"):
        assert machine["Tracing"] == {"Enabled": True}, name


def test_saved_queries_read_every_functions_log(watching: Template) -> None:
    groups = [{"Ref": name} for name, _ in watching.of_type("AWS::Logs::LogGroup")]
    queries = dict(watching.of_type("AWS::Logs::QueryDefinition"))
    assert len(queries) >= 4
    for name, query in queries.items():
        assert query["LogGroupNames"] == groups, name


def test_schedules_are_what_eventbridge_reads(template: Template) -> None:
    found = [
        event["Properties"]["ScheduleExpression"]
        for _, function in template.of_type("AWS::Serverless::Function")
        for event in function.get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    ]
    assert found
    for expression in found:
        rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", expression)
        assert rate, expression
        assert (int(rate[1]) == 1) == (rate[3] == ""), f"{expression}: AWS wants the singular for 1 alone"
        assert int(rate[1]) >= 1


def _check(metrics: list[Metric], template: Template) -> None:
    functions = {_plain(each["FunctionName"]) for _, each in template.of_type("AWS::Serverless::Function")}
    tables = {_plain(each["TableName"]) for _, each in template.nested["Data"].of_type("AWS::DynamoDB::Table")}
    queues = {f"{STACK}-{name}" for name in _queues(template)}
    machines = {_plain(each["Name"]) for _, each in template.of_type("AWS::Serverless::StateMachine")}
    groups = {name.removeprefix(f"{STACK}-") for name in functions}
    known = {"FunctionName": functions, "TableName": tables, "QueueName": queues, "Group": groups}
    for namespace, name, dimensions in metrics:
        if namespace == emf.NAMESPACE:
            assert name in OURS[tuple(dimensions)], name
        else:
            assert name in AWS_METRICS[namespace], name
        for dimension, value in dimensions.items():
            if dimension in known and value:
                assert value in known[dimension], f"there is no {dimension} {value}"
            if dimension == "StateMachineArn":
                assert value.rpartition(":")[2] in machines


def _dashboards(watching: Template) -> Iterator[dict[str, Any]]:
    for _, properties in watching.of_type("AWS::CloudWatch::Dashboard"):
        yield json.loads(_plain(properties["DashboardBody"]))


def _metrics(body: Mapping[str, Any]) -> Iterator[Metric]:
    for widget in body["widgets"]:
        for row in widget["properties"]["metrics"]:
            if isinstance(row[0], str):
                namespace, name, *named = [each for each in row if isinstance(each, str)]
                yield namespace, name, dict(list(pairwise(named))[::2])
            elif "SEARCH" in row[0]["expression"]:
                found = _SEARCH.search(row[0]["expression"])
                assert found, row
                namespace, *dimensions = found["schema"].split(",")
                yield namespace, found["name"], dict.fromkeys(dimensions, "")


def _queues(template: Template) -> set[str]:
    names = (_plain(queue["QueueName"]) for _, queue in template.nested["Data"].of_type("AWS::SQS::Queue"))
    return {name.removeprefix(f"{STACK}-") for name in names}


def _plain(value: Any) -> str:
    """What an expression comes to in a stack named `quintet`."""
    text = value["Fn::Sub"] if isinstance(value, dict) and "Fn::Sub" in value else value
    if isinstance(text, dict):
        text = f"${{{text['Ref']}}}"
    names = {"AWS::StackName": STACK, "Stack": STACK, "Prefix": f"{STACK}-", "AWS::Region": "us-east-1"}
    for name, known in names.items():
        text = text.replace(f"${{{name}}}", known)
    return str(text).replace("${!", "${")
