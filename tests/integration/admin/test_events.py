"""The live events: a client that comes back where it left off misses nothing and sees nothing twice."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quintet.events import following
from quintet.events import store as log
from quintet.events.model import GATEWAY, Event
from quintet.store.clock import SystemClock
from tests.asgi import ask, asked
from tests.integration.admin.conftest import Admin
from tests.loops import on_a_loop

_PAUSE_SECONDS = following.PAUSE_SECONDS
PATH = "/admin/v1/events"
OURS = "ours-"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAUSE_SECONDS", 0.01)


def happened(number: int) -> list[str]:
    """So many events of ours, in the log, to which others may add theirs at any time. Answers their ids."""
    name, now = secrets.token_hex(6), SystemClock().now()
    told = [
        Event(f"{OURS}{name}-{place:03d}", GATEWAY, "route_success", "openai", now, {"n": place}, "admin")
        for place in range(number)
    ]
    return [entry.event.id for entry in log.append(told)]


@dataclass
class Client:
    """What EventSource does: it keeps the last id, and comes back with it."""

    admin: Admin
    last: str | None = None
    seen: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {**self.admin.headers, **({"Last-Event-ID": self.last} if self.last else {})}

    async def listen(self, until: int, bites: int) -> None:
        """Until so many events were seen. The line may break within a frame, after `bites` messages."""
        from admin.app import app

        async with asked(app, "GET", PATH, headers=self.headers) as stream:
            parser = Parser()
            for place in range(1, bites + 1):
                await stream.said(place + 1)
                self.take(parser.feed(stream.messages[place].get("body", b"")))
                if len(self.seen) >= until:
                    break
            stream.disconnect()

    def take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self.last = event.get("id", self.last)
            if event["event"] == "route_success":
                self.seen += [told for told in [json.loads(event["data"])["id"]] if told.startswith(OURS)]


class Parser:
    def __init__(self) -> None:
        self._rest = ""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        *whole, self._rest = (self._rest + data.decode()).split("\n\n")
        return [dict(line.split(": ", 1) for line in each.split("\n")) for each in whole if not each.startswith(":")]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 6)), min_size=1, max_size=6))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_client_that_loses_the_line_anywhere_misses_nothing_and_sees_nothing_twice(
    admin: Admin, parts: list[tuple[int, int]]
) -> None:
    async def listening() -> list[str]:
        client, told = Client(admin), list[str]()
        await client.listen(0, 1)  # `connected` alone: from here on nothing may be missed
        for number, bites in parts:
            telling = asyncio.create_task(asyncio.to_thread(happened, number))
            if number % 2:
                await telling  # told while nobody listens
            await client.listen(len(told) + number, min(bites, number + 1))
            told += await telling
        while len(client.seen) < len(told):
            await client.listen(len(told), len(told) + 1)
        assert client.seen == told
        return told

    asyncio.run(asyncio.wait_for(listening(), 60))


@on_a_loop
async def test_it_begins_with_connected_and_tells_what_comes_within_a_second(admin: Admin) -> None:
    from admin.app import app

    assert _PAUSE_SECONDS < 0.5
    before = log.head(GATEWAY).seq
    async with asked(app, "GET", PATH, headers=admin.headers) as stream:
        await stream.said(2)
        (first,) = Parser().feed(stream.messages[1]["body"])
        assert first["event"] == "connected"
        assert first["retry"] == "1000"
        assert before <= int(first["id"]) <= log.head(GATEWAY).seq
        assert stream.headers["content-type"].startswith("text/event-stream")
        (told,) = await asyncio.to_thread(happened, 1)
        event: dict[str, Any] = {}
        place = 2
        while event.get("id") != told:
            await stream.said(place + 1)
            for each in Parser().feed(stream.messages[place]["body"]):
                event = json.loads(each["data"])
            place += 1
        assert event.items() >= {"id": told, "type": "route_success", "n": 0}.items()
        stream.disconnect()


@on_a_loop
async def test_what_the_log_no_longer_has_is_said_to_be_lost(admin: Admin) -> None:
    from admin.app import app

    happened(1)
    beyond = log.head(GATEWAY).seq + 1000
    headers = {**admin.headers, "Last-Event-ID": str(beyond)}
    async with asked(app, "GET", PATH, headers=headers) as stream:
        await stream.said(3)
        (event,) = Parser().feed(stream.messages[2]["body"])
        assert event["event"] == "discontinuity"
        stream.disconnect()


@contextmanager
def short_life(seconds: float) -> Iterator[Any]:
    class Context:
        aws_request_id = "1"
        end = SystemClock().now().timestamp() + seconds

        def get_remaining_time_in_millis(self) -> int:
            return round((self.end - SystemClock().now().timestamp()) * 1000)

    yield Context()


@on_a_loop
async def test_it_ends_by_itself_before_its_lambda_does(admin: Admin) -> None:
    from admin.app import app

    with short_life(3) as context:
        answer = await ask(app, "GET", PATH, headers=admin.headers, **{"aws.context": context})
        assert context.get_remaining_time_in_millis() > 0
    assert answer.whole
    *_, last = Parser().feed(answer.body)
    assert (last["event"], last["retry"]) == ("reconnect", "1000")


@on_a_loop
async def test_silence_is_broken_by_a_comment(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    from admin.app import app
    from quintet.http import sse

    assert sse.HEARTBEAT_SECONDS == 15
    monkeypatch.setattr(sse.EventStream.__init__, "__kwdefaults__", {"heartbeat": 0.05})
    async with asked(app, "GET", PATH, headers=admin.headers) as stream:
        while b": keep-alive\n\n" not in [message.get("body") for message in stream.messages]:
            await stream.said(len(stream.messages) + 1)
        stream.disconnect()


@pytest.mark.parametrize("after", ["x", "-1", "1e3", "9" * 21])
def test_an_id_that_is_none_is_refused(admin: Admin, after: str) -> None:
    assert admin.refused("GET", "/events", status=400, **{"Last-Event-ID": after})


def test_they_are_for_admins_alone(viewer: Admin) -> None:
    viewer.refused("GET", "/events", status=403)
