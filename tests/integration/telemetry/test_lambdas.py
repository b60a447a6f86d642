"""What a function tells of itself, as a process on Lambda: in AWS's runtime and in ours."""

import json
import socket
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from quintet.telemetry import emf
from tests.gateway import answer, event
from tests.sandbox import Invocation, Sandbox

Runtime = Literal["aws", "ours"]


@pytest.fixture(scope="module", params=["aws", "ours"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    runtime: Runtime = request.param
    with Sandbox("tests.lambdas.watched.handler", runtime=runtime) as sandbox:
        yield sandbox.wait_until_ready()


def lines(sandbox: Sandbox, invocation: Invocation) -> list[dict[str, Any]]:
    """What was logged under this invocation."""
    told = [json.loads(line) for line in sandbox.log().splitlines() if line.startswith("{")]
    return [line for line in told if line.get("function_request_id") == invocation.id]


def said(invocation: Invocation) -> Any:
    """The JSON of an answer, streamed or whole."""
    body = invocation.body()
    _, separator, rest = body.partition(b"\0" * 8)
    return json.loads(rest) if separator else answer(json.loads(body)).json()


def test_every_line_is_json_and_names_its_invocation(sandbox: Sandbox) -> None:
    invocation = sandbox.invoke(event("GET", "/v1/tasks"))
    assert said(invocation) == []
    message, *_, record = lines(sandbox, invocation)
    assert (message["level"], message["service"], message["function"], message["task"]) == (
        "INFO",
        "quintet",
        "f",
        "t1",
    )
    assert message["timestamp"].endswith("+00:00")
    assert (record["message"], record["status_code"]) == ("request", 200)
    assert record["request_id"].startswith("req_")


def test_no_line_is_told_twice_and_no_library_is_silenced(sandbox: Sandbox) -> None:
    before = sandbox.log()
    sandbox.invoke(event("GET", "/v1/tasks")).body()
    new = sandbox.log().removeprefix(before)
    assert new.count("calling with") == 1
    assert new.count("something is odd") == 1
    assert "/v1/tasks" not in new  # no access log beside our record


def test_secrets_do_not_reach_the_log(sandbox: Sandbox) -> None:
    invocation = sandbox.invoke(event("GET", "/v1/tasks"))
    invocation.body()
    assert lines(sandbox, invocation)[0]["message"] == "calling with Bearer *** and qk_live_***"


def test_an_exception_is_told_whole_and_without_what_it_quotes(sandbox: Sandbox) -> None:
    invocation = sandbox.invoke(event("GET", "/v1/broken"))
    invocation.body()
    failed = next(line for line in lines(sandbox, invocation) if line["level"] == "ERROR")
    assert (failed["message"], failed["exception_name"], failed["path"]) == (
        "unhandled failure",
        "LookupError",
        "/v1/broken",
    )
    assert "LookupError: no key eyJ***" in failed["exception"]
    assert failed["stack_trace"]["frames"][-1]["function"] == "broken"
    assert "eyJhbGciOiJIUzI1NiJ9" not in sandbox.log()


def test_a_start_collects_nothing_and_imports_only_what_the_settings_ask_for(sandbox: Sandbox) -> None:
    process = said(sandbox.invoke(event("GET", "/v1/process")))
    assert process["order"] == ["quintet.cold", "pydantic", "fastapi"]
    assert process["frozen"]
    assert process["collecting"]
    heavy = {"aws_xray_sdk.core", "boto3", "botocore.session", "cryptography", "httpx", "pynamodb", "requests"}
    assert not heavy.intersection(process["modules"])


@pytest.mark.parametrize("runtime", ["aws", "ours"])
def test_metrics_have_few_dimensions(runtime: Runtime) -> None:
    with Sandbox("tests.lambdas.watched.handler", runtime=runtime, environment={"METRICS": "true"}) as sandbox:
        sandbox.wait_until_ready()
        for path in ("/v1/tasks", "/v1/nothing", "/v1/tasks"):  # a streamed answer is counted after its last byte
            sandbox.invoke(event("GET", path)).body()
        told = [json.loads(line) for line in sandbox.log().splitlines() if '"_aws"' in line][:2]
    assert [line["status"] for line in told] == [200, 404]
    assert [line["Refusals"] for line in told] == [0, 1]
    for line in told:
        (definition,) = line["_aws"]["CloudWatchMetrics"]
        assert definition["Namespace"] == "Quintet"
        assert definition["Dimensions"] == [["Stack", "Group"]]
        assert {metric["Name"]: metric["Unit"] for metric in definition["Metrics"]} == emf.REQUEST
        assert (line["Group"], line["Stack"], line["Failures"], line["Exhausted"]) == ("tasks", "quintet", 0, 0)
        assert line["Latency"] > 0


@pytest.mark.parametrize("runtime", ["aws", "ours"])
def test_a_request_is_a_subsegment_of_its_invocations_trace(runtime: Runtime) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(60)
        environment = {"TRACING": "true", "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}"}
        with Sandbox("tests.lambdas.watched.handler", runtime=runtime, environment=environment) as sandbox:
            trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
            invocation = sandbox.wait_until_ready().invoke(
                event("GET", "/v1/tasks"), headers={"Lambda-Runtime-Trace-Id": trace}
            )
            invocation.body()
            segment = json.loads(daemon.recv(1 << 16).partition(b"\n")[2])
            assert said(sandbox.invoke(event("GET", "/v1/calls"))) is True
    assert segment["trace_id"] == "1-5bef4de7-ad49b0e87f6ef6c87fc2e700"
    assert segment["parent_id"] == "9a9197af755a6419"
    assert (segment["annotations"]["group"], segment["annotations"]["status"]) == ("tasks", 200)
    assert segment["annotations"]["request_id"].startswith("req_")


@pytest.mark.parametrize(("name", "answers"), [("handler", "taken"), ("later", "taken later")])
def test_a_consumer_takes_an_event_now_or_in_a_coroutine(name: str, answers: str) -> None:
    with Sandbox(f"tests.lambdas.events.{name}", runtime="aws") as sandbox:
        sandbox.wait_until_ready()
        for event_ in ({"a": 1}, {"a": 2}):
            assert sandbox.invoke(event_).json() == {answers: event_}


def test_a_consumers_exception_keeps_its_name() -> None:
    with Sandbox("tests.lambdas.events.handler", runtime="aws") as sandbox:
        invocation = sandbox.wait_until_ready().invoke({"fail": "t1"})
        invocation.body()
        assert invocation.error is not None
        assert (invocation.error["errorType"], invocation.error["errorMessage"]) == ("NoSuchTask", "t1")
        assert [line["message"] for line in lines(sandbox, invocation)] == ["taken"]
