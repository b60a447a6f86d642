"""Attempts at receivers on loopback that behave as told, over tables in memory and a clock of the test's own."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from quintet.net import client
from quintet.settings import settings
from quintet.webhooks import delivering as module
from quintet.webhooks.model import Endpoint, Standing, Status, delivery_of
from quintet.webhooks.queue import Errand
from quintet.webhooks.telling import Telling
from tests.fakes.office import NOW, Office, entry
from tests.fakes.webhooks import receiving, says
from tests.loops import on_a_loop


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setenv("WEBHOOK_LOCAL_RECEIVERS", "true")
    settings.cache_clear()
    yield Office()
    settings.cache_clear()
    client.close_all()


@on_a_loop
async def test_what_is_wanted_arrives_signed_and_once(office: Office) -> None:
    async with receiving(says(204)) as receiver:
        office.endpoint(receiver.url, "task.created", "task.c*")
        await office.tell("task.created", "task.failed")
        await office.work()
    (received,) = receiver.received
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"].startswith("evt_")
    assert received.body.startswith(b'{"type":"task.created","timestamp":"2026-11-20T10:30:00Z","data":{')
    delivery = office.only()
    assert delivery.standing is Standing.DELIVERED
    assert [each.status for each in delivery.attempts] == [204]


@on_a_loop
async def test_telling_again_makes_no_second_delivery(office: Office) -> None:
    async with receiving(says(200)) as receiver:
        office.endpoint(receiver.url)
        told = [entry(1)]

        async def yes(_endpoint: Endpoint, _needs: str) -> bool:
            return True

        telling = Telling(office.endpoints, office.deliveries, office.queue, yes)
        for _ in range(3):
            await telling.tell(told, NOW)
        await office.work()
        await telling.tell(told, NOW)
        await office.work()
    assert len(receiver.received) == 1


@on_a_loop
async def test_what_its_owner_may_not_read_is_not_told(office: Office) -> None:
    office.endpoint("http://127.0.0.1:1/")

    async def tasks_alone(_endpoint: Endpoint, needs: str) -> bool:
        return needs == "read_tasks"

    telling = Telling(office.endpoints, office.deliveries, office.queue, tasks_alone)
    assert await telling.tell([entry(1, "escalation.approved")], NOW) == 0


@on_a_loop
async def test_a_failing_receiver_is_tried_for_a_day_with_one_id_and_then_no_more(office: Office) -> None:
    async with receiving(says(500)) as receiver:
        office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.until(timedelta(days=2))
    delivery = office.only()
    assert delivery.standing is Standing.DEAD
    assert [each.status for each in delivery.attempts] == [500] * 8
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    first, last = delivery.attempts[0].at, delivery.attempts[-1].at
    assert timedelta(hours=24) <= last - first <= timedelta(hours=26)


@on_a_loop
async def test_one_that_comes_back_gets_everything_in_the_end(office: Office) -> None:
    async def answer(number: int) -> bytes | None:
        return await says(503 if number < 4 else 200)(number)

    async with receiving(answer) as receiver:
        office.endpoint(receiver.url)
        await office.tell(*["task.created"] * 6)
        await office.until(timedelta(hours=12))
    assert {each.standing for each in office.deliveries.rows.values()} == {Standing.DELIVERED}


@on_a_loop
async def test_a_replay_tries_anew_and_keeps_the_story(office: Office) -> None:
    async with receiving(says(500)) as receiver:
        office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.until(timedelta(days=2))
        dead = office.only()
        receiver.answer = says(200)
        await office.deliveries.ask_again(dead, office.at)
        await office.queue.send([Errand(dead.endpoint_id, dead.id)], office.at)
        await office.until(timedelta(days=3))
    assert office.only().standing is Standing.DELIVERED
    assert [each.status for each in office.only().attempts] == [500] * 8 + [200]


@on_a_loop
async def test_410_turns_an_endpoint_off(office: Office) -> None:
    async with receiving(says(410)) as receiver:
        endpoint = office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.work()
    assert office.endpoints.stopped == [(endpoint.id, Status.DISABLED, "it answered 410 Gone")]
    assert office.only().standing is Standing.DEAD


@on_a_loop
async def test_five_days_of_failure_pause_an_endpoint(office: Office) -> None:
    async with receiving(says(500)) as receiver:
        endpoint = office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.until(timedelta(days=4))
        assert office.endpoints.stopped == []
        office.at = NOW + timedelta(days=5, hours=1)
        dead = office.only()
        await office.deliveries.ask_again(dead, office.at)
        await office.queue.send([Errand(dead.endpoint_id, dead.id)], office.at)
        await office.work()
    assert office.endpoints.stopped == [(endpoint.id, Status.PAUSED, "it has failed for five days")]


@on_a_loop
async def test_a_redirect_is_not_followed(office: Office) -> None:
    async with receiving(says(200)) as secret_place:
        async with receiving(says(302, f"Location: {secret_place.url}")) as receiver:
            office.endpoint(receiver.url)
            await office.tell("task.created")
            await office.work()
        assert secret_place.received == []
    assert office.only().attempts[0].error == "redirects are not followed"


@on_a_loop
async def test_half_an_answer_and_silence_are_failures_that_say_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.2)

    async def hang(_number: int) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def half(_number: int) -> None:
        return None

    async with receiving(hang) as hanging, receiving(half) as halving:
        office.endpoint(hanging.url, "task.created")
        office.endpoint(halving.url, "task.failed")
        await office.tell("task.created", "task.failed")
        await office.work()
    errors = sorted(each.attempts[0].error for each in office.deliveries.rows.values())
    assert "closed in the middle" in errors[0]
    assert errors[1].startswith("timed out")


@on_a_loop
async def test_a_receiver_that_asks_for_time_gets_it(office: Office) -> None:
    async def answer(number: int) -> bytes | None:
        return await (says(429, "Retry-After: 120") if number == 0 else says(200))(number)

    async with receiving(answer) as receiver:
        office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.until(timedelta(minutes=10))
    first, second = office.only().attempts
    assert second.at - first.at >= timedelta(seconds=120)


@on_a_loop
async def test_the_limit_holds_for_each_endpoint_and_all_come_through(office: Office) -> None:
    async with receiving(says(200)) as receiver, receiving(says(200)) as other:
        office.most = 10
        busy = office.endpoint(receiver.url, "task.created")
        office.endpoint(other.url, "task.failed")
        await office.tell(*["task.created"] * 35, "task.failed")
        await office.until(timedelta(minutes=6))
    sent = sorted(each.attempts[0].at for each in office.deliveries.rows.values() if each.endpoint_id == busy.id)
    assert len(sent) == len(receiver.received) == 35
    assert all(later - sooner >= timedelta(minutes=1) for sooner, later in zip(sent, sent[10:], strict=False))
    assert len(other.received) == 1


@on_a_loop
async def test_a_paused_endpoints_deliveries_wait_and_a_deleted_ones_end(office: Office) -> None:
    async with receiving(says(200)) as receiver:
        endpoint = office.endpoint(receiver.url)
        await office.tell("task.created")
        office.endpoints.rows[endpoint.id] = replace(endpoint, status=Status.PAUSED)
        await office.work()
        assert office.only().standing is Standing.PENDING
        del office.endpoints.rows[endpoint.id]
        office.at += timedelta(hours=2)
        await office.queue.send([Errand(endpoint.id, office.only().id)], office.at)
        await office.work()
        assert office.only().standing is Standing.DEAD
    assert receiver.received == []


@on_a_loop
async def test_no_private_address_is_dialled_whatever_was_registered(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a name was bound anew between the check and the attempt."""
    monkeypatch.setenv("WEBHOOK_LOCAL_RECEIVERS", "false")
    settings.cache_clear()
    async with receiving(says(200)) as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        for url in (receiver.url, f"http://localhost:{port}", f"http://2130706433:{port}", f"http://[::1]:{port}"):
            office.endpoint(url)
        await office.tell("task.created")
        await office.work()
    assert receiver.received == []
    assert all("not sent" in each.attempts[0].error for each in office.deliveries.rows.values())


@on_a_loop
async def test_an_attempt_that_died_with_its_process_is_made_again(office: Office) -> None:
    async with receiving(says(200)) as receiver:
        endpoint = office.endpoint(receiver.url)
        delivery = delivery_of(entry(1), endpoint, NOW)
        await office.deliveries.add(delivery)
        assert await office.deliveries.claim(delivery, NOW)  # and then nothing more is heard of it
        await office.queue.send([Errand(endpoint.id, delivery.id)], NOW)
        await office.work()
        assert receiver.received == []
        office.at = NOW + timedelta(minutes=3)  # the queue shows its message again
        await office.queue.send([Errand(endpoint.id, delivery.id)], office.at)
        await office.work()
        assert len(receiver.received) == 1


@on_a_loop
async def test_an_errand_that_finds_another_at_it_comes_back_to_see_what_became_of_it(office: Office) -> None:
    async with receiving(says(200)) as receiver:
        endpoint = office.endpoint(receiver.url)
        delivery = delivery_of(entry(1), endpoint, NOW)
        await office.deliveries.add(delivery)
        assert await office.deliveries.claim(delivery, NOW)  # and then nothing more is heard of it
        await office.queue.send([Errand(endpoint.id, delivery.id)], NOW)  # the only one that is left
        await office.until(timedelta(minutes=2))
    assert len(receiver.received) == 1


@on_a_loop
async def test_what_waited_for_days_is_tried_and_not_given_up_for_the_crowd(office: Office) -> None:
    """All of a crowd but a few are turned away at the gate of an endpoint that has done nothing wrong."""
    async with receiving(says(200)) as receiver:
        office.endpoint(receiver.url)
        await office.tell(*["task.created"] * 30)
        office.at += timedelta(days=3)
        await office.until(timedelta(days=4))
    assert {each.standing for each in office.deliveries.rows.values()} == {Standing.DELIVERED}


@on_a_loop
async def test_an_owner_who_lost_a_right_gets_nothing_that_waited(office: Office) -> None:
    async with receiving(says(200)) as receiver:
        office.endpoint(receiver.url)
        await office.tell("task.created")
        office.rights.clear()
        await office.work()
    assert receiver.received == []
    assert office.only().standing is Standing.DEAD
    assert "may not read" in office.only().attempts[0].error


@on_a_loop
async def test_a_long_answer_is_an_answer_and_is_not_read_to_its_end(office: Office) -> None:
    async def endless(_number: int) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n" + b"x" * (1 << 20)

    async with receiving(endless) as receiver:
        office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.work()
    assert office.only().standing is Standing.DELIVERED


@on_a_loop
async def test_a_receiver_that_hangs_up_is_asked_once_per_attempt(office: Office) -> None:
    """On a kept connection a client would ask again by itself: beyond the limit, and beyond the story."""

    async def answer(number: int) -> bytes | None:
        if number == 0:
            return await says(200)(number)
        raise ConnectionResetError

    async with receiving(answer) as receiver:
        office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.work()
        await office.tell("task.failed")
        await office.work()
    assert len(receiver.received) == 2


@on_a_loop
async def test_a_thousand_that_wait_for_a_dead_endpoint_ask_no_faster_than_it_would_take_them(office: Office) -> None:
    async with receiving(says(500)) as receiver:
        endpoint = office.endpoint(receiver.url)
        await office.tell(*["task.created"] * 1000)
        await office.work()
        visits = 0
        while office.at < NOW + timedelta(minutes=10):
            ahead = min(each.not_before for each in office.queue.errands if each.not_before is not None)
            office.at = max(office.at, ahead)
            visits += sum(1 for each in office.queue.errands if each.not_before and each.not_before <= office.at)
            await office.work()
    assert visits <= 10 * 60 * 5  # while it is trusted, by its steps of 200 ms; later by the limit
    assert len(receiver.received) < 60
    assert office.gates.rows[endpoint.id].failures >= 3


@on_a_loop
async def test_nobody_is_kept_busy_beyond_the_day_by_a_receiver_that_asks_for_more_time(office: Office) -> None:
    async with receiving(says(503, "Retry-After: 86400")) as receiver:
        office.endpoint(receiver.url)
        await office.tell("task.created")
        await office.until(timedelta(days=9))
    delivery = office.only()
    assert delivery.standing is Standing.DEAD
    assert delivery.attempts[-1].at - NOW < timedelta(hours=26)
    assert len(receiver.received) <= 8


@on_a_loop
async def test_fifty_a_minute_and_not_one_more_however_long_the_line(office: Office) -> None:
    async def sometimes_ill(number: int) -> bytes | None:
        return await says(500 if number % 97 == 5 else 200)(number)

    async with receiving(sometimes_ill) as receiver:
        endpoint = office.endpoint(receiver.url)
        await office.tell(*["task.created"] * 500)
        await office.until(timedelta(minutes=25))
    rows = [each for each in office.deliveries.rows.values() if each.endpoint_id == endpoint.id]
    sent = sorted(attempt.at for row in rows for attempt in row.attempts)
    assert {row.standing for row in rows} == {Standing.DELIVERED}
    assert len(sent) == len(receiver.received)
    assert all(later - sooner > timedelta(minutes=1) for sooner, later in zip(sent, sent[50:], strict=False))
    assert sent[49] - NOW < timedelta(minutes=1)  # what the minute holds is used
    assert sent[-1] - NOW < timedelta(minutes=16)
