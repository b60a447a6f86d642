"""One log, one order: what a WebSocket is told and what a webhook is told are the same story, and it is the log's."""

import json
from typing import Any

import pytest
import requests
from websockets.sync.client import connect

from quintet.events import store as log
from quintet.events.platform import PLATFORM, platform_event
from quintet.events.store import outbox
from quintet.store.clock import SystemClock, iso
from quintet.store.ids import new_id
from quintet.store.transactions import write_together
from tests.conftest import Stack
from tests.fakes.webhooks import Receiver
from tests.processes import PATIENCE, eventually

LIFE = ("task.created", "task.started", "escalation.requested", "escalation.approved", "task.progress")
END = "task.completed"
Story = dict[int, tuple[str, str, Any]]


@pytest.fixture
def key(stack: Stack) -> str:
    return stack.keys["API_KEY"]


def live(tasks: list[str]) -> int:
    """All tasks at once, one step of each after the other."""
    for step in (*LIFE, END):
        for task in tasks:
            data = {"task_id": task, "escalation_id": f"esc_{task}", "step": step}
            write_together([outbox(platform_event(step, task, data, now=SystemClock().now()))])
    return len(tasks) * (len(LIFE) + 1)


def test_a_socket_and_a_webhook_tell_the_logs_own_story(
    stack: Stack, front: str, key: str, receiver: Receiver, function_environment: None
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    order = {"url": receiver.url, "events": ["task.*", "escalation.*"]}
    webhook = stack.request("POST", "/v1/webhooks", headers=headers, json=order).json()["data"]["id"]
    try:
        with connect(f"{front.replace('http', 'ws', 1)}/ws", additional_headers=headers) as socket:
            kinds = ["task_progress", "escalation_status"]
            socket.send(json.dumps({"type": "subscribe", "events": kinds}))
            begun = json.loads(socket.recv(timeout=PATIENCE))["data"]["seq"]
            tasks = [new_id("task", SystemClock().now()) for _ in range(4)]
            count = live(tasks)
            told: list[Any] = []
            while len(told) < count:
                message = json.loads(socket.recv(timeout=PATIENCE))
                told += [message] if message["data"].get("task_id") in tasks else []
        sent = eventually(lambda: found if len(found := _sent(receiver, tasks)) == count else None)
        deliveries = [each for each in _deliveries(stack, headers, webhook) if each["event_id"] in sent]
    finally:
        stack.request("DELETE", f"/v1/webhooks/{webhook}", headers=headers)

    entries = [each for each in log.read(PLATFORM, begun, 1000).entries if each.event.data.get("task_id") in tasks]
    of_log: Story = {each.seq: (each.event.type, iso(each.event.at), dict(each.event.data)) for each in entries}
    of_socket: Story = {each["seq"]: (each["event"], each["timestamp"], each["data"]) for each in told}
    of_webhook: Story = {each["seq"]: sent[each["event_id"]] for each in deliveries}
    assert [each["seq"] for each in told] == sorted(of_log)
    assert of_socket == of_log
    assert of_webhook == of_log
    for task in tasks:
        assert [word for word, _, data in of_log.values() if data["task_id"] == task] == [*LIFE, END]


def _sent(receiver: Receiver, tasks: list[str]) -> dict[str, tuple[str, str, Any]]:
    """Of these tasks: others may still have something to tell."""
    bodies = {each.headers["webhook-id"]: json.loads(each.body) for each in [*receiver.received]}
    return {
        event: (body["type"], body["timestamp"], body["data"])
        for event, body in bodies.items()
        if body["data"].get("task_id") in tasks
    }


def _deliveries(stack: Stack, headers: dict[str, str], webhook: str) -> list[dict[str, Any]]:
    """By pages."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        answer: requests.Response = stack.request(
            "GET", f"/v1/webhooks/{webhook}/deliveries?limit=10{more}", headers=headers
        )
        page = answer.json()["data"]
        found += page["deliveries"]
        cursor = page["next_cursor"]
    return found
