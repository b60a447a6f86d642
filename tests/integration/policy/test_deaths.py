"""The server is killed between two steps: the next one takes it up where the last one left it."""

import os
import signal

import requests

from tests.conftest import Stack

HEADERS = {"Authorization": "Bearer cyborg-secret-v2"}
SEEN = [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.0, -0.2, 0.1, 0.3]]


def test_a_kill_between_two_steps_loses_nothing(stack: Stack) -> None:
    def post(path: str, **body: object) -> requests.Response:
        answer = requests.post(stack.system.url + path, json=body, headers=HEADERS, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer

    child = stack.system.front()
    try:
        for agent in ("killed", "spared"):
            post("/reset", agent_id=agent)
        spared = [post("/step", agent_id="spared", observation=seen, deterministic=True) for seen in SEEN]
        killed = []
        for seen in SEEN:
            killed.append(post("/step", agent_id="killed", observation=seen, deterministic=True))
            os.kill(child.pid, signal.SIGKILL)
            child.stop()  # there is only its pipe left to close
            child = stack.system.front()
        for one, other in zip(killed, spared, strict=True):
            assert {**one.json(), "agent_id": ""} == {**other.json(), "agent_id": ""}
            assert one.headers["x-agent-version"] == other.headers["x-agent-version"]
    finally:
        child.stop()
