"""What every test may ask for.

- `stack` (session): template.yaml deployed into an emulator of this process's own (each pytest-xdist worker has one),
  ready in a few seconds. `make test-localstack` deploys into LocalStack instead; the tests are the same.
  `stack.invoke("FanoutFunction", event)` runs a function there in its own role; `stack.request("GET", "/health")` comes
  in through the emulator's API Gateway. All tests of a session share the tables: write under names of your own.
- `front` (session): the base URL of the front that `make run` starts, over that stack.
- `function_environment`: this process sees the environment that the deployed functions were given, so that stores and
  handlers called here use the stack. `pytest.mark.usefixtures` asks for it for a whole module.
- `artefact` (session): a folder with what `make build` makes.
- `quiet_tables`: the same environment, over copies of the template's tables whose streams no function reads: contract
  tests of a store see only what they wrote themselves.
- `own_tables`: the same, and no other module sees them: for what counts all that there is.
- `tests/gateway.py` calls a function's handler with the events of API Gateway.
"""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck
from hypothesis import settings as examples

from infra.local.emulator import GATEWAY_HEADER, Emulator, Endpoint
from infra.local.system import PARAMETERS, System, listen
from quintet.settings import settings
from tests import localstack, roles
from tests.roles.carrying import DeployedSystem, NotingEmulator, carried, invoked

# The same examples in every run, however busy the machine; `--hypothesis-profile=search` looks for others.
examples.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.register_profile("same", examples.get_profile("search"), derandomize=True, database=None)
examples.load_profile("same")

# The modules that take longest, longest first: begun last, one of them would be waited for by idle processes.
LONGEST = (
    "tests/e2e/test_run.py",
    "tests/integration/policy/test_episodes.py",
    "tests/integration/tasks/test_robustness.py",
    "tests/integration/broker/test_chat.py",
    "tests/bench/test_starts.py",
    "tests/integration/ask/test_streams.py",
    "tests/integration/gateway/test_ledger_race.py",
    "tests/contract/tasks/test_thousand.py",
    "tests/upgrade/test_upgrade.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        places = {name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(LONGEST)))


class HastyEmulator(Emulator):
    """State machines wait, before they try again too, for a fifth of the time."""

    told: dict[str, str] = {"SFN_WAIT_SCALE": "0.2"}  # noqa: RUF012 - nobody writes to it


@dataclass
class Stack:
    system: System
    lambda_: Any

    @cached_property
    def keys(self) -> dict[str, str]:
        """The credentials that a fresh stack is seeded with, by their names in dev.env."""
        return self.system.seed()

    @property
    def endpoint(self) -> Endpoint:
        return self.system.endpoint

    def invoke(self, function: str, event: Any) -> Any:
        """By its name in template.yaml. Raises FunctionFailed."""
        return invoked(self.lambda_, self.system.deployed.names[function], event)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Through the deployed REST API; the function runs in its own role. `options` are those of `requests`."""
        base = self.endpoint.gateway(self.system.deployed.outputs["ApiId"], PARAMETERS["Stage"])
        headers = {GATEWAY_HEADER: self.endpoint.gateway_key, **options.pop("headers", {})}
        return requests.request(method, base + path, headers=headers, timeout=60, **options)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with ExitStack() as parts:
        elsewhere = localstack.wanted()
        if elsewhere:
            endpoint = parts.enter_context(localstack.endpoint())
        else:
            log = parts.enter_context((tmp_path_factory.mktemp("emulator") / "log").open("w"))
            folder = roles.wanted()
            emulator = NotingEmulator(folder, log=log) if folder else HastyEmulator(log=log)
            endpoint = parts.enter_context(emulator).endpoint
        # The front's port is known before the front is: the functions are told of it.
        listening = [parts.enter_context(each) for each in listen(0)]
        given = {"WEBHOOK_LOCAL_RECEIVERS": "true"}  # tests listen on loopback
        made = DeployedSystem if roles.wanted() else System
        system = made(endpoint, listening, given=given, elsewhere=elsewhere, template=roles.template())
        system.deploy()
        stack = Stack(system, endpoint.client("lambda"))
        if folder := roles.wanted():
            parts.enter_context(carried(stack.lambda_, system, folder))
        yield stack


@pytest.fixture(scope="session")
def front(stack: Stack) -> Iterator[str]:
    child = stack.system.front()
    yield stack.system.url
    child.stop()


@pytest.fixture(scope="module", autouse=True)
def _vendors_of_one_module() -> Iterator[None]:
    """A process knows the catalogue for seconds, which is longer than it takes to come to the next module."""
    yield
    if live := sys.modules.get("quintet.gateway.live"):
        live.views().forget()


@pytest.fixture
def function_environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with as_function(stack, monkeypatch):
        yield


@contextmanager
def as_function(stack: Stack, patch: pytest.MonkeyPatch, given: Mapping[str, str] | None = None) -> Iterator[None]:
    """This process sees what the deployed functions were told, and `given`."""
    for name in [*os.environ]:
        if name.startswith("AWS_"):
            patch.delenv(name)
    for name, value in {**stack.system.environment(), **(given or {})}.items():
        if name != "PYTHONPATH":
            patch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def vendors_may_be_near(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test's vendor listens on loopback, where no stack calls unless it is told to."""
    monkeypatch.setenv("MODELS_MAY_BE_PRIVATE", "true")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def _table_copies(stack: Stack) -> str:
    if roles.wanted():  # the deployed functions have but one set of tables
        return stack.system.environment()["TABLE_PREFIX"]
    return copy_tables(stack, "quiet-")


def copy_tables(stack: Stack, prefix: str) -> str:
    """Empty copies whose names begin with the prefix, and whose streams no function reads."""
    dynamodb = stack.endpoint.client("dynamodb")
    kept = {"AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"}
    for template in stack.system.deployment.template().nested.values():
        for _, properties in template.of_type("AWS::DynamoDB::Table"):
            name = properties["TableName"]["Fn::Sub"].replace("${Prefix}", prefix)
            dynamodb.create_table(TableName=name, **{key: properties[key] for key in kept & properties.keys()})
    return prefix


@pytest.fixture
def quiet_tables(function_environment: None, _table_copies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_PREFIX", _table_copies)
    settings.cache_clear()


@pytest.fixture(scope="module")
def _own_copies(stack: Stack, request: pytest.FixtureRequest, _table_copies: str) -> str:
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    return _table_copies if roles.wanted() else copy_tables(stack, f"{name}-")


@pytest.fixture
def own_tables(quiet_tables: None, _own_copies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_PREFIX", _own_copies)
    settings.cache_clear()


@pytest.fixture(scope="session")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ships, built for this machine once for all processes of this run.

    What Lambda gets differs in its compiled libraries only.
    """
    from tests.bench.artefact import build

    own = tmp_path_factory.getbasetemp()
    target = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "artefact"
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "built").exists():
            build(target, sys.executable)
            (target / "built").touch()
    return target


@pytest.fixture
def repository() -> Path:
    return Path(__file__).resolve().parents[1]
