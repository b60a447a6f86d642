"""The ask function as a process on Lambda, in our runtime: tokens leave while the vendor makes the next one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from quintet.store.items import from_item
from tests.conftest import Stack
from tests.fakes.upstream import Behaviour, Upstream, upstream
from tests.fakes.wires import Told
from tests.gateway import event
from tests.integration.ask.conftest import Serve, Served
from tests.sandbox import Invocation, Sandbox

STREAM = {"prompt": "x", "stream": True}


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    with upstream() as vendor:
        yield vendor


@pytest.fixture(scope="module")
def served(serve: Serve, vendor: Upstream) -> Served:
    return serve("lambda", vendor)


@pytest.fixture(scope="module")
def sandbox(served: Served) -> Iterator[Sandbox]:
    environment = {name: value for name, value in served.environment.items() if name != "PYTHONPATH"}
    with Sandbox("ask.app.handler", runtime="ours", environment=environment) as sandbox:
        yield sandbox.wait_until_ready()


def asked(sandbox: Sandbox, served: Served, body: Any) -> Invocation:
    return sandbox.invoke(event("POST", "/api/v1/ask", headers=served.keyed, json=body))


def test_each_token_leaves_as_the_vendor_says_it(sandbox: Sandbox, served: Served, vendor: Upstream) -> None:
    asked(sandbox, served, STREAM).body()  # everything is imported and connected now
    vendor.usual = vendor.held(told=Told(text="one two"))
    invocation = asked(sandbox, served, STREAM)
    vendor.let_go(2)  # the first piece has no text yet
    assert invocation.prelude()["statusCode"] == 200
    assert json.loads(invocation.piece().removeprefix(b"data: "))["token"] == "one"
    vendor.let_go(1)
    assert json.loads(invocation.piece().removeprefix(b"data: "))["token"] == " two"
    vendor.let_go(10)
    assert invocation.body().endswith(b"data: [DONE]\n\n")


def test_hanging_up_cancels_the_vendor_and_settles_what_was_used(
    stack: Stack, sandbox: Sandbox, served: Served, vendor: Upstream
) -> None:
    vendor.usual = Behaviour("slow_tokens", told=Told(text="word " * 1000), seconds=0.2)
    invocation = asked(sandbox, served, STREAM)
    invocation.prelude()
    invocation.piece()
    invocation.hang_up()
    assert vendor.asked[-1].hung_up.wait(30)
    vendor.usual = Behaviour()
    after = asked(sandbox, served, {"prompt": "x"})  # the process serves on
    assert json.loads(after.body().partition(b"\0" * 8)[2])["status"] == "ok"
    table = served.environment["TABLE_PREFIX"] + "requests"
    records = [from_item(item) for item in stack.endpoint.client("dynamodb").scan(TableName=table)["Items"]]
    (cut,) = [record for record in records if record["facts"].get("cut_short")]
    (call,) = cut["facts"]["calls"]
    assert (call["status"], call["failure"], call["usage_known"]) == ("cut", "cancelled", False)
    assert call["cost"] > 0


def test_a_failure_before_the_first_token_is_an_ordinary_answer(
    sandbox: Sandbox, served: Served, vendor: Upstream
) -> None:
    vendor.usual = Behaviour("refused")
    invocation = asked(sandbox, served, STREAM)
    prelude = invocation.prelude()
    assert prelude["statusCode"] == 502
    assert json.loads(invocation.body())["status"] == "error"
    vendor.usual = Behaviour()
