"""Webhooks deployed in the emulator, in the functions' own roles: kyros.md's requests, and events on their way."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from standardwebhooks.webhooks import Webhook

from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.store.clock import SystemClock
from quintet.store.transactions import write_together
from tests.conftest import Stack
from tests.fakes.webhooks import Received, Receiver, says
from tests.processes import eventually

SECRET = "your_webhook_secret"
ORDER = {
    "url": "https://your-webhook-endpoint.com/kyros-events",
    "events": ["task.created", "task.completed", "task.failed", "escalation.approved", "escalation.rejected"],
    "secret": SECRET,
    "description": "Webhook for task and escalation events",
}


@pytest.fixture(scope="module")
def seeded(stack: Stack) -> dict[str, str]:
    return stack.keys


class Owner:
    def __init__(self, stack: Stack, key: str) -> None:
        self._stack = stack
        self._headers = {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str = "", **options: Any) -> requests.Response:
        return self._stack.request(method, f"/v1/webhooks{path}", headers=self._headers, **options)

    def create(self, **order: Any) -> Any:
        answer = self("POST", json={**ORDER, **order})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]


@pytest.fixture
def owner(stack: Stack, seeded: dict[str, str]) -> Iterator[Owner]:
    owner = Owner(stack, seeded["RYUZEN_KEY"])
    yield owner
    for webhook in owner("GET").json()["data"]["webhooks"]:
        owner("DELETE", f"/{webhook['id']}")


def tell(type: str, **data: Any) -> str:  # noqa: A002
    event = platform_event(type, "task_1", data, now=SystemClock().now())
    write_together([outbox(event)])
    return event.id


def test_the_documents_webhook_is_created_changed_and_deleted(owner: Owner) -> None:
    data = owner.create()
    assert {name: data[name] for name in ("url", "events", "status", "last_triggered")} == {
        "url": ORDER["url"],
        "events": ORDER["events"],
        "status": "active",
        "last_triggered": None,
    }
    assert data["id"].startswith("webhook_")
    assert "secret" not in json.dumps(data)
    changed = owner("PUT", f"/{data['id']}", json={"events": ["task.created", "task.completed"], "status": "paused"})
    assert changed.status_code == 200
    assert changed.json()["data"]["events"] == ["task.created", "task.completed"]
    assert owner("GET", f"/{data['id']}").json()["data"]["status"] == "paused"
    assert [each["id"] for each in owner("GET").json()["data"]["webhooks"]] == [data["id"]]
    assert owner("DELETE", f"/{data['id']}").json()["data"]["deleted"] is True
    assert owner("GET", f"/{data['id']}").status_code == 404


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"url": "https://127.0.0.1@example.com/"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://metadata.google.internal/"}, "url"),
        ({"events": ["nonsense"]}, "events"),
        ({"events": []}, "events"),
        ({"events": ["robots.*"]}, "events"),
        ({"secret": "short"}, "secret"),
        ({"secret": "whsec_no base64 at all"}, "secret"),
        ({"color": "blue"}, "color"),
    ],
)
def test_what_does_not_suit_is_refused_by_field(owner: Owner, order: dict[str, Any], field: str) -> None:
    answer = owner("POST", json={**ORDER, **order})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["details"]["field"] == field


def test_another_owner_sees_nothing_of_it(owner: Owner, stack: Stack, seeded: dict[str, str]) -> None:
    data = owner.create()
    reviewer = Owner(stack, seeded["REVIEWER_KEY"])
    assert reviewer("GET").json()["data"]["webhooks"] == []
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"status": "paused"}),
        ("DELETE", "", None),
        ("POST", "/test", None),
        ("GET", "/deliveries", None),
    ):
        assert reviewer(method, f"/{data['id']}{path}", json=body).status_code == 404
    assert Owner(stack, seeded["VIEWER_KEY"])("POST", json=ORDER).status_code == 403
    assert Owner(stack, seeded["API_KEY"])("GET", f"/{data['id']}").status_code == 200


def test_a_name_that_was_chosen_for_a_token_opens_nothing_of_another(stack: Stack, seeded: dict[str, str]) -> None:
    def named(key: str) -> Owner:
        order = {"subject": "the-same-name"}
        answer = stack.request("POST", "/auth/token", headers={"X-API-Key": seeded[key]}, json=order)
        return Owner(stack, answer.json()["access_token"])

    mine, stranger = named("RYUZEN_KEY"), named("REVIEWER_KEY")
    webhook = mine.create()
    assert stranger("GET").json()["data"]["webhooks"] == []
    assert stranger("GET", f"/{webhook['id']}").status_code == 404
    assert stranger("PUT", f"/{webhook['id']}", json={"status": "paused"}).status_code == 404
    assert mine("DELETE", f"/{webhook['id']}").status_code == 200


def test_an_event_arrives_and_its_story_is_told(owner: Owner, receiver: Receiver, function_environment: None) -> None:
    data = owner.create(url=receiver.url, events=["task.*"])
    event_id = tell("task.created", task_id="task_1")
    tell("escalation.approved", escalation_id="esc_1")
    (received,) = eventually(lambda: _of(receiver, event_id))
    told = Webhook(SECRET.encode()).verify(received.body.decode(), received.headers)
    assert told["type"] == "task.created"
    assert told["data"] == {"task_id": "task_1"}
    assert received.headers["webhook-id"] == event_id

    def delivered() -> Any:
        found = owner("GET", f"/{data['id']}/deliveries").json()["data"]["deliveries"]
        return next((each for each in found if each["event_id"] == event_id and each["status"] == "delivered"), None)

    delivery = eventually(delivered)
    assert delivery["event_type"] == "task.created"
    assert delivery["attempts"][0]["status_code"] == 200
    assert owner("GET", f"/{data['id']}").json()["data"]["last_triggered"]
    assert owner("POST", f"/{data['id']}/deliveries/{delivery['id']}/replay").status_code == 202
    eventually(lambda: len(_of(receiver, event_id)) == 2)
    since = delivery["created_at"].replace("Z", "+00:00")
    again = owner("POST", f"/{data['id']}/replay", json={"since": since[:17] + "00+00:00"})
    assert again.status_code == 202, again.text
    assert again.json()["data"]["queued"] >= 1


def test_a_failure_is_tried_again_after_its_time(owner: Owner, receiver: Receiver, function_environment: None) -> None:
    async def answer(number: int) -> bytes | None:
        return await says(500 if number == 0 else 200)(number)

    receiver.answer = answer
    owner.create(url=receiver.url, events=["task.failed"])
    event_id = tell("task.failed", task_id="task_2")
    first, second = eventually(lambda: found if len(found := _of(receiver, event_id)) == 2 else None)
    assert second.at - first.at >= 4.5


def _of(receiver: Receiver, event_id: str) -> list[Received]:
    """Others may still have something to tell."""
    return [each for each in [*receiver.received] if each.headers["webhook-id"] == event_id]


def test_a_test_is_sent_at_once_and_signed(owner: Owner, receiver: Receiver) -> None:
    data = owner.create(url=receiver.url, secret=None)
    answer = owner("POST", f"/{data['id']}/test").json()["data"]
    assert answer["delivered"] is True
    assert answer["status_code"] == 200
    (received,) = receiver.received
    assert Webhook(data["secret"]).verify(received.body.decode(), received.headers)["type"] == "webhook.test"


def test_both_secrets_sign_while_one_replaces_the_other(owner: Owner, receiver: Receiver) -> None:
    data = owner.create(url=receiver.url)
    owner("PUT", f"/{data['id']}", json={"secret": "another_webhook_secret"})
    owner("POST", f"/{data['id']}/test")
    (received,) = receiver.received
    for secret in (b"your_webhook_secret", b"another_webhook_secret"):
        Webhook(secret).verify(received.body.decode(), received.headers)
