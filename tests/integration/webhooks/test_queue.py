"""The way to the next attempt: a message for what is near, a schedule that ends itself for what is far."""

import json
from datetime import timedelta
from uuid import uuid4

from quintet.settings import settings
from quintet.store.clock import SystemClock
from quintet.webhooks.queue import DeliveryQueue, Errand
from tests.conftest import Stack
from tests.loops import on_a_loop


@on_a_loop
async def test_what_is_far_ahead_becomes_one_schedule_into_the_queue(stack: Stack, function_environment: None) -> None:
    now = SystemClock().now()
    errand = Errand(uuid4().hex, "dlv_1", now + timedelta(hours=2))
    queue = DeliveryQueue()
    await queue.send([errand], now)
    await queue.send([errand], now)
    scheduler = stack.endpoint.client("scheduler")
    group = settings().deliveries_schedule_group
    found = [
        scheduler.get_schedule(Name=each["Name"], GroupName=group)
        for each in scheduler.list_schedules(GroupName=group)["Schedules"]
    ]
    (schedule,) = [each for each in found if errand.endpoint_id in each["Target"]["Input"]]
    assert schedule["ScheduleExpression"] == f"at({errand.not_before:%Y-%m-%dT%H:%M:%S})"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["Target"]["Arn"] == settings().deliveries_queue_arn
    assert Errand.read(schedule["Target"]["Input"]) == errand
    scheduler.delete_schedule(Name=schedule["Name"], GroupName=group)


def test_an_errand_is_read_as_it_was_written() -> None:
    now = SystemClock().now()
    for errand in (Errand("webhook_1", "dlv_1"), Errand("webhook_1", "dlv_1", now)):
        assert Errand.read(errand.text()) == errand
    assert "not_before" not in json.loads(Errand("webhook_1", "dlv_1").text())
