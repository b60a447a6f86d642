"""From a chat to everything that is told of it: through the front, the log's stream and the deployed rollup."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.integration.admin.conftest import Admin

PATIENCE = 90


@pytest.fixture
def admin_of_the_front(front: str, function_environment: None) -> Iterator[Callable[..., Any]]:
    admin = Admin("admin")
    with requests.Session() as session:
        session.headers.update(admin.headers)

        def ask(method: str, path: str, **options: Any) -> requests.Response:
            return session.request(method, front + path, timeout=PATIENCE, **options)

        yield ask


def until(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def test_a_chat_is_seen_live_and_counted(admin_of_the_front: Callable[..., Any]) -> None:
    ask = admin_of_the_front
    with ask("GET", "/admin/v1/events", stream=True) as stream:
        lines = stream.iter_lines()
        assert b"event: connected" in (next(lines), next(lines))
        chat = {"request": {"messages": [{"role": "user", "content": "Hello"}], "model_hint": "builtin/echo"}}
        answer = ask("POST", "/v1/chat", json=chat)
        assert answer.status_code == 200, answer.text
        request_id = answer.headers["x-request-id"]
        told = next(line for line in lines if request_id.encode() in line)
        event = json.loads(told.removeprefix(b"data: "))
        assert (event["type"], event["model_id"]) == ("route_success", "builtin/echo")
    stats = until(lambda: ask("GET", "/admin/v1/stats").json()["by_model"].get("builtin/echo"))
    assert stats[0]["request_count"] >= 1
    logs = ask("GET", "/admin/v1/logs?model=builtin/echo&limit=5").json()["logs"]
    assert request_id in [each["request_id"] for each in logs]
    reward = until(
        lambda: [each for each in ask("GET", "/admin/v1/rewards").json()["rewards"] if each["request_id"] == request_id]
    )
    assert 0.9 < reward[0]["reward"] <= 1
    heard = ask("POST", f"/admin/v1/rewards/{request_id}", json={"reward": 0.0})
    assert heard.status_code == 200, heard.text
    assert ask("GET", "/admin/v1/tsdb/query?metric=requests&model=builtin/echo").json()["series"]
    (builtin,) = [
        each for each in ask("GET", "/admin/v1/health").json()["providers"] if each["provider_id"] == "builtin"
    ]
    assert builtin["total_requests"] >= 1
    assert builtin["last_success_at"]
    until(lambda: 'quintet_model_calls_total{model="builtin/echo"' in ask("GET", "/metrics").text)
    assert ask("GET", "/healthz").text == "ok"
