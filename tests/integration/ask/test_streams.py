"""Many streams on one front at once: each whole, in order and its own, and none held up by who does not read."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from quintet.ask.pump import STALLED_SECONDS
from quintet.store.items import from_item
from tests.conftest import Stack
from tests.fakes.upstream import Behaviour, Upstream, upstream
from tests.fakes.wires import Told
from tests.integration.ask.conftest import Serve, Served
from tests.loops import on_a_loop
from tests.processes import eventually

STREAMS = 100


def prompt(number: int) -> str:
    return " ".join(f"s{number}w{word}" for word in range(15))


async def ask_by_sse(front: str, key: str, text: str, model: str | None = None) -> list[Any]:
    """All events of an answer; the last one is `[DONE]`."""
    address = urlsplit(front)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    body = json.dumps({"prompt": text, "model": model, "stream": True})
    writer.write(
        f"POST /api/v1/ask HTTP/1.1\r\nHost: {address.netloc}\r\nX-Ryuzen-Key: {key}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], head
    events = [line.decode()[6:].rstrip() async for line in reader if line.startswith(b"data: ")]
    writer.close()
    return [json.loads(event) if event.startswith("{") else event for event in events]


async def ask_by_socket(front: str, key: str, texts: list[str], model: str | None = None) -> list[list[Any]]:
    """What was told of each prompt, all of them sent at once on one socket."""
    answers: list[list[Any]] = [[]]
    url = front.replace("http", "ws") + "/ws/stream"
    async with connect(url, additional_headers={"X-Ryuzen-Key": key}) as socket:
        for text in texts:
            await socket.send(json.dumps({"prompt": text, "model": model}))
        async for message in socket:
            answers[-1].append(json.loads(message))
            assert answers[-1][-1].get("status") != "error", answers[-1]
            if "done" in answers[-1][-1]:
                if len(answers) == len(texts):
                    return answers
                answers.append([])
    raise AssertionError("the socket closed")


@on_a_loop
async def test_a_hundred_streams_of_events_are_whole_and_unmixed(front: str, key: str) -> None:
    answers = await asyncio.gather(*(ask_by_sse(front, key, prompt(number)) for number in range(STREAMS)))
    for number, (*tokens, done) in enumerate(answers):
        assert done == "[DONE]"
        assert [token["index"] for token in tokens] == list(range(len(tokens)))
        assert "".join(token["token"] for token in tokens).endswith(prompt(number))


@on_a_loop
async def test_a_hundred_sockets_are_whole_and_unmixed(front: str, key: str) -> None:
    answers = await asyncio.gather(*(ask_by_socket(front, key, [prompt(number)]) for number in range(STREAMS)))
    for number, ((*tokens, done),) in enumerate(answers):
        assert [token["index"] for token in tokens] == list(range(len(tokens)))
        assert "".join(token["token"] for token in tokens) == done["output"]
        assert done["output"].endswith(prompt(number))


@on_a_loop
async def test_prompts_of_one_socket_are_answered_in_their_order(front: str, key: str) -> None:
    answers = await ask_by_socket(front, key, [prompt(number) for number in range(6)])
    for number, (*tokens, done) in enumerate(answers):
        assert done["output"].endswith(prompt(number))
        assert "".join(token["token"] for token in tokens) == done["output"]


class Deaf(asyncio.Protocol):
    """Asks for a stream, and reads nothing of it."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def connection_made(self, transport: Any) -> None:
        transport.pause_reading()
        body = json.dumps({"prompt": "x", "model": "story", "stream": True})
        head = f"POST /api/v1/ask HTTP/1.1\r\nHost: localhost\r\nX-Ryuzen-Key: {self._served.key}\r\n"
        transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


@pytest.fixture(scope="module")
def running() -> Iterator[Upstream]:
    with upstream() as vendor:
        yield vendor


@pytest.fixture(scope="module")
def telling(serve: Serve, running: Upstream) -> Served:
    return serve("telling", running)


@pytest.fixture
def vendor(running: Upstream) -> Upstream:
    running.always.clear()
    running.usual = Behaviour()
    return running


@on_a_loop
async def test_who_does_not_read_holds_nobody_up(telling: Served, vendor: Upstream) -> None:
    vendor.always["story"] = Behaviour(told=Told(text="word " * 100_000, output=1000))
    vendor.usual = Behaviour(told=Told(text="a short tale"))
    loop, port = asyncio.get_running_loop(), urlsplit(telling.url).port
    assert port
    idle = [(await loop.create_connection(lambda: Deaf(telling), "127.0.0.1", port))[0] for _ in range(5)]
    async with connect(telling.socket, additional_headers=telling.keyed, max_queue=1, close_timeout=0.1) as deaf:
        await deaf.send(json.dumps({"prompt": "x", "model": "story"}))
        await asyncio.to_thread(eventually, lambda: len(vendor.asked) >= 6)
        async with asyncio.timeout(STALLED_SECONDS / 2):  # then those who do not read would be hung up on
            answers = await asyncio.gather(*(ask_by_sse(telling.url, telling.key, "x", "tale") for _ in range(10)))
            (socket,) = await ask_by_socket(telling.url, telling.key, ["x"], "tale")
    assert {"".join(token["token"] for token in tokens) for *tokens, _ in answers} == {"a short tale"}
    assert socket[-1]["output"] == "a short tale"
    assert not any(each.answered.is_set() for each in vendor.asked if each.body["model"] == "story")
    for transport in idle:
        transport.abort()


@on_a_loop
async def test_the_first_token_is_out_while_the_vendor_makes_the_second(telling: Served, vendor: Upstream) -> None:
    vendor.usual = vendor.held(told=Told(text="one two three"))
    for ask in (first_event, first_message):
        vendor.let_go(2)  # the vendor's first piece has no text yet
        token = await ask(telling)
        assert (token["index"], token["token"].strip()) == (0, "one")
        if ask is first_message:
            vendor.let_go(1)  # who has left a socket is missed when there is something to tell
        assert await asyncio.to_thread(vendor.asked[-1].hung_up.wait, 30)


async def first_event(served: Served) -> Any:
    address = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"GET /api/v1/stream?prompt=x HTTP/1.1\r\nHost: {address.netloc}\r\nX-Ryuzen-Key: {served.key}\r\n\r\n"
    writer.write(head.encode())
    event = await reader.readuntil(b"}\n\n")
    writer.close()
    return json.loads(event.rpartition(b"data: ")[2])


async def first_message(served: Served) -> Any:
    async with connect(served.socket, additional_headers=served.keyed, close_timeout=0.1) as socket:
        await socket.send(json.dumps({"prompt": "x"}))
        return json.loads(await socket.recv())


@on_a_loop
async def test_hanging_up_on_a_whole_answer_cancels_the_vendor_too(
    stack: Stack, telling: Served, vendor: Upstream
) -> None:
    vendor.usual = Behaviour("slow", seconds=25)
    before = len(vendor.asked)
    address = urlsplit(telling.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    body = json.dumps({"prompt": "x", "metadata": {"request_id": "left-early"}})
    head = f"POST /api/v1/ask HTTP/1.1\r\nHost: {address.netloc}\r\nX-Ryuzen-Key: {telling.key}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    await asyncio.to_thread(eventually, lambda: len(vendor.asked) > before)
    writer.transport.abort()
    assert await asyncio.to_thread(vendor.asked[-1].hung_up.wait, 30)

    def recorded() -> Any:
        table = telling.environment["TABLE_PREFIX"] + "requests"
        items = map(from_item, stack.endpoint.client("dynamodb").scan(TableName=table)["Items"])
        return next((item for item in items if item["request_id"] == "left-early"), None)

    (call,) = (await asyncio.to_thread(eventually, recorded))["facts"]["calls"]
    assert call["failure"] == "cancelled"
    assert call["cost"] > 0  # what may have been used is paid for


@on_a_loop
async def test_a_vendor_that_breaks_off_is_told_as_an_event(telling: Served, vendor: Upstream) -> None:
    vendor.usual = Behaviour("half", told=Told(text="one two three four five six"))
    told = await ask_by_sse(telling.url, telling.key, "x", "tale")
    assert told[-1]["status"] == "error"
    assert "token" in told[0]
    assert "[DONE]" not in told


@on_a_loop
async def test_a_limit_is_exact_for_requests_that_come_together(serve: Serve) -> None:
    served = serve("limited", rate_limit_ask=20)
    asked = [asyncio.to_thread(post, served) for _ in range(40)]
    answers = await asyncio.gather(*asked)
    assert sorted(each.status_code for each in answers) == [200] * 20 + [429] * 20
    refused = next(each for each in answers if each.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json() == {"status": "error", "error": "Rate limit exceeded: 20 per 1 minute"}


def post(served: Served) -> requests.Response:
    return requests.post(f"{served.url}/api/v1/ask", headers=served.keyed, json={"prompt": "x"}, timeout=60)


@on_a_loop
@pytest.mark.parametrize("headers", [{}, {"X-Ryuzen-Key": "wrong"}])
async def test_a_socket_without_a_key_that_counts_does_not_open(front: str, headers: dict[str, str]) -> None:
    url = front.replace("http", "ws") + "/ws/stream"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 401


@on_a_loop
async def test_a_browser_brings_its_key_as_a_subprotocol(front: str, key: str) -> None:
    url = front.replace("http", "ws") + "/ws/stream"
    async with connect(url, subprotocols=[f"bearer.{key}", "toron.v1"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "toron.v1"
        await socket.send(json.dumps({"prompt": "hi"}))
        assert "token" in json.loads(await socket.recv())


@on_a_loop
async def test_errors_leave_the_socket_open(front: str, key: str) -> None:
    url = front.replace("http", "ws") + "/ws/stream"
    async with connect(url, additional_headers={"X-Ryuzen-Key": key}) as socket:
        for bad in ("{", "[]", '{"prompt": ""}', b"\xff", '{"prompt": 1}'):
            await socket.send(bad)
            told = json.loads(await socket.recv())
            assert told["status"] == "error"
            assert told.keys() == {"status", "error"}
        await socket.send(json.dumps({"prompt": "still here"}))
        assert json.loads(await socket.recv())["index"] == 0
