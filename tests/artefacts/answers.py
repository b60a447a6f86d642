"""Every function's zip and layers, started as Lambda would from what was built alone, answer what reaches them."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.local.system import SETTINGS
from infra.local.template import Template
from infra.shipped import BUILT, Shipped, shipped
from quintet.store.clock import SystemClock
from tests.artefacts.examples import EXAMPLES, Example, ways_in
from tests.artefacts.machine import PLACE, Machine, machine
from tests.artefacts.memory import Measured, Table
from tests.conftest import Stack
from tests.gateway import Answer, answer
from tests.sandbox import Invocation, Sandbox

FUNCTIONS = [each.name for each in shipped(BUILT)]
TRACED = {"Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"}


@pytest.fixture(scope="session")
def lambdas() -> Machine:
    return machine()


@pytest.fixture(scope="session")
def role(stack: Stack) -> Iterator[dict[str, str]]:
    """Where a function that began as a snapshot gets its credentials from: none are in its environment."""
    keys = stack.endpoint.environment()
    told = {
        "AccessKeyId": keys["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": keys["AWS_SECRET_ACCESS_KEY"],
        "Token": "",  # the emulator knows no sessions
        "Expiration": (SystemClock().now() + timedelta(hours=1)).isoformat(),
    }

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            body = json.dumps(told).encode() if self.headers["Authorization"] == "of-this-instance" else b"{}"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with served(Handler) as url:
        yield {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "of-this-instance",
        }


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    table = Table(Template(BUILT / "template.yaml"))
    yield table
    (PLACE / "memory.md").write_text(table.text())


@pytest.fixture(scope="session")
def told(stack: Stack) -> dict[str, Any]:
    """Grows by what answers bring: the order of the examples is the template's."""
    return dict(stack.system.seed())


@pytest.fixture(scope="session")
def sockets() -> Iterator[tuple[str, list[Any]]]:
    """API Gateway's side of open WebSockets: its URL, and what was posted there."""
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with served(Handler) as url:
        yield f"{url}/local", posted


def environment(stack: Stack, function: Shipped, sockets_url: str) -> dict[str, str]:
    """The deployed function's own, less what a laptop is told; the emulator stands in for AWS."""
    deployed = stack.system.deployed.environments[function.name]
    given = {name: value for name, value in deployed.items() if name not in SETTINGS}
    literal = {name: value for name, value in function.variables.items() if isinstance(value, str)}
    return {**given, **literal, **stack.endpoint.environment(), "SOCKETS_URL": sockets_url}


def came_back(invocation: Invocation) -> Any:
    """An HTTP answer, streamed or whole, or what an event's invocation answered. Raises AssertionError on an error."""
    body = invocation.body()
    assert invocation.error is None, invocation.error
    head, separator, rest = body.partition(b"\0" * 8)
    told = json.loads(head)
    if separator:
        headers: Mapping[str, str] = told["headers"]
        return Answer(told["statusCode"], {name.lower(): [value] for name, value in headers.items()}, rest)
    return answer(told) if isinstance(told, dict) and "body" in told else told


def again(sandbox: Sandbox, example: Example, told: Mapping[str, Any]) -> None:
    came_back(sandbox.invoke(example.event(told)))


def test_there_is_an_example_for_every_way_into_every_function(repository: Path) -> None:
    assert {*EXAMPLES} == {*ways_in(Template(repository / "template.yaml"))}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_answers_from_its_zips_alone(
    name: str,
    lambdas: Machine,
    stack: Stack,
    told: dict[str, Any],
    sockets: tuple[str, list[Any]],
    table: Table,
    tmp_path: Path,
) -> None:
    function = next(each for each in lambdas.functions if each.name == name)
    work = [(way, example) for (owner, way), examples in EXAMPLES.items() if owner == name for example in examples]
    with lambdas.start(function, tmp_path, environment(stack, function, sockets[0])) as sandbox:
        sandbox.wait_until_ready()
        measured = Measured.started(sandbox)
        for way, example in work:
            found = came_back(sandbox.invoke(example.event(told), headers=TRACED))
            assert example.holds(found), (way, found, sandbox.log())
            told |= {key: read(found) for key, read in example.keeps.items()}
        log = sandbox.log()
        assert "Traceback" not in log, log
        for way, example in work:
            if example.often:
                measured.worked(way, sandbox, partial(again, sandbox, example, told))
        table.write(function, measured)
    if name == "SocketsFunction":
        assert any("action" in each for each in sockets[1])


@pytest.mark.parametrize("name", [each.name for each in shipped(BUILT) if each.snapshots])
def test_a_function_answers_as_a_copy_of_its_snapshot(
    name: str,
    lambdas: Machine,
    stack: Stack,
    told: dict[str, Any],
    role: dict[str, str],
    sockets: tuple[str, list[Any]],
    tmp_path: Path,
) -> None:
    function = next(each for each in lambdas.functions if each.name == name)
    given = {**environment(stack, function, sockets[0]), **role}
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del given[key]
    with lambdas.start(function, tmp_path, given, snap_start=True) as sandbox:
        assert sandbox.service.restoring.wait(20), sandbox.log()
        assert not sandbox.service.ready.is_set()
        sandbox.service.restored.set()
        sandbox.wait_until_ready()
        for example in next(examples for (owner, _), examples in EXAMPLES.items() if owner == name):
            found = came_back(sandbox.invoke(example.event(told), headers=TRACED))
            assert example.holds(found), (found, sandbox.log())
        assert "Traceback" not in sandbox.log(), sandbox.log()
