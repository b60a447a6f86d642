"""Tasks whose models fail, whose workers are killed, who are cancelled: each ends as it should, and is paid once."""

import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quintet.gateway.catalogue import store as catalogue
from quintet.gateway.catalogue.model import CredStore, Model, Price, Provider
from quintet.gateway.ledger.live import control
from quintet.gateway.ledger.model import Scope, Window
from quintet.gateway.live import views
from quintet.gateway.model import NANO
from quintet.http.entry import kept_loop
from tests.conftest import Stack
from tests.fakes.upstream import Behaviour, Upstream, upstream
from tests.fakes.wires import Told
from tests.integration.tasks.conftest import Caller, MakeCaller, ended
from tests.processes import eventually, family

MODEL = "nearby-1"
WORK = {"title": "List orders", "acceptance_criteria": ["Orders are listed", "The newest comes first"]}


@pytest.fixture
def vendor(stack: Stack, function_environment: None) -> Iterator[Upstream]:
    """A real vendor, as far as the platform knows: it costs money, and the builtin model is no longer routed to."""
    provider = f"nearby-{secrets.token_hex(4)}"  # its health is its own
    with upstream() as vendor:
        catalogue.put_provider(Provider(provider, "openai", "Nearby", vendor.openai, CredStore.NONE, rev=1))
        catalogue.put_model(Model(MODEL, provider, MODEL, Price(1000, 2000, version="test"), rev=1))
        views().forget()
        stack.system.deployment.renew_code()  # the functions' new processes look at the catalogue anew
        yield vendor
        catalogue.remove("model", MODEL, 1)
        catalogue.remove("provider", provider, 1)
        views().forget()
        stack.system.deployment.renew_code()


def begun(caller: Caller, **preferences: Any) -> str:
    """A task that an agent has."""
    identifier: str = caller.data("POST", "/v1/tasks", WORK)["id"]
    body = {"task_id": identifier, "preferences": {"model": MODEL, **preferences}}
    caller.data("POST", "/v1/agents/implementer/submit", body)
    return identifier


def spent(task_id: str) -> int:
    """What the ledger has of it."""

    async def look() -> int:
        budget = await control().of(Scope.TASK, task_id, Window.TOTAL)
        assert budget is not None
        (state,) = await control().states([budget], datetime.now(UTC))
        return state.spent

    return kept_loop().run_until_complete(look())


def paid_once(task: dict[str, Any]) -> bool:
    """The ledger settles by the request log's stream."""
    cost = round(task["metadata"]["cost"] * NANO)
    assert cost > 0
    return bool(eventually(lambda: spent(task["id"]) == cost))


def test_a_task_whose_model_fails_twice_is_completed(vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    vendor.next("server", "server")
    task = ended(ada, begun(ada))
    assert (task["status"], task["metadata"]["model_used"]) == ("completed", MODEL)
    assert len(vendor.asked) == 2 + 4  # the plan, two steps, the review
    assert paid_once(task)


def test_a_task_whose_vendor_wants_peace_waits_for_it(vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    vendor.next(Behaviour("rate_limited", retry_after="1"), Behaviour("rate_limited", retry_after="1"))
    assert ended(ada, begun(ada))["status"] == "completed"


def test_a_task_whose_model_always_fails_says_why(vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    vendor.always[MODEL] = Behaviour("server")
    task = ended(ada, begun(ada), 120)
    assert task["status"] == "failed"
    assert MODEL in task["error"]
    assert task["current_step"] is None


def test_a_task_that_is_refused_fails_at_once(vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    vendor.always[MODEL] = Behaviour("refused")
    task = ended(ada, begun(ada))
    assert task["status"] == "failed"
    assert len(vendor.asked) == 1


def test_a_task_that_takes_too_long_is_failed(vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    vendor.always[MODEL] = Behaviour("slow", seconds=1.2)
    task = ended(ada, begun(ada, timeout=2))
    assert task["status"] == "failed"


def test_a_task_stops_where_its_money_ends(vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    identifier = ada.data("POST", "/v1/tasks", WORK)["id"]
    poor = {"task_id": identifier, "context": {"budget_remaining": 0.000001}, "preferences": {"model": MODEL}}
    ada.data("POST", "/v1/agents/implementer/submit", poor)
    task = ended(ada, identifier)
    assert task["status"] == "failed"
    assert "budget" in task["error"]
    assert vendor.asked == []


def test_a_cancelled_task_stops_within_its_step(stack: Stack, vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    vendor.always[MODEL] = vendor.held()
    vendor.let_go(1)
    identifier = begun(ada)
    eventually(lambda: len(vendor.asked) == 2)  # in the first step
    assert ada.data("DELETE", f"/v1/tasks/{identifier}", {"reason": "changed our minds"})["status"] == "cancelled"
    machine = stack.system.deployed.environments["TasksFunction"]["TASK_MACHINE_ARN"]
    execution = machine.replace(":stateMachine:", ":execution:") + f":{identifier}-1"
    states = stack.endpoint.client("stepfunctions")
    eventually(lambda: states.describe_execution(executionArn=execution)["status"] == "ABORTED")
    vendor.let_go(1)
    assert vendor.asked[1].answered.wait(30) or vendor.asked[1].hung_up.is_set()
    time.sleep(1.0)  # nothing happens: that cannot be awaited
    assert len(vendor.asked) == 2
    task = ada.data("GET", f"/v1/tasks/{identifier}")
    assert (task["status"], task["error"]) == ("cancelled", "changed our minds")
    assert task["progress"]["completed_steps"] == 0


def test_a_killed_worker_costs_time_and_nothing_else(stack: Stack, vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    vendor.always[MODEL] = vendor.held()
    vendor.let_go(1)
    identifier = begun(ada)
    eventually(lambda: len(vendor.asked) == 2)  # in the first step
    vendor.always.clear()
    for worker in workers("quintet-workflow"):
        os.kill(worker, signal.SIGKILL)
    task = ended(ada, identifier)
    assert task["status"] == "completed", task["error"]
    assert task["progress"]["completed_steps"] == 2
    assert len(vendor.asked) == 4 + 1
    assert paid_once(task)


def workers(function: str) -> list[int]:
    """The emulator's processes that run it."""
    found = []
    for pid in family(os.getpid()):
        with suppress(OSError):
            told = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if f"AWS_LAMBDA_FUNCTION_NAME={function}".encode() in told:
                found.append(pid)
    assert found, "no process runs it"
    return found


def test_large_files_lie_in_s3_and_are_read_through_the_api(stack: Stack, vendor: Upstream, caller: MakeCaller) -> None:
    ada = caller()
    content = "x = 1  # " + "y" * 250_000
    answer = {"summary": "wrote it", "files": [{"path": "app/large.py", "kind": "source", "content": content}]}
    vendor.always[MODEL] = Behaviour(told=Told(json.dumps(answer)))
    task = ended(ada, begun(ada))
    assert task["status"] == "completed", task["error"]
    assert task["results"]["files_modified"] == 1
    (file,) = task["results"]["files"]
    assert (file["path"], file["size"]) == ("app/large.py", len(content))
    first = ada.data("GET", f"/v1/tasks/{task['id']}/steps")["steps"][0]
    assert "content" not in first["files"][0]
    read = ada("GET", first["files"][0]["url"])
    assert (read.status, read.text) == (200, content)
    assert read.headers["content-type"].startswith("text/plain")
    assert ada.refused("GET", f"/v1/tasks/{task['id']}/steps/0/files/1") == (404, "NOT_FOUND")
