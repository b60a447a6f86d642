"""The way back to open connections, over a real socket."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from quintet.errors import Failure, Kind
from quintet.net import client
from quintet.settings import settings
from quintet.sockets.model import MAX_MESSAGE, Connection, Gone
from quintet.sockets.posts import Posts
from tests.fakes.sockets import FakeConnections
from tests.loops import on_a_loop
from tests.servers import Peer, serving

ID = "L0SM9cOFvHcCIhw="


def answering(status: int, seen: list[bytes], then: int | None = None) -> object:
    async def script(peer: Peer) -> None:
        while request := await peer.request():
            code = status if then is None or not seen else then
            seen.append(request)
            await peer.answer(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % code)

    return script


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    yield
    settings.cache_clear()


async def kept() -> FakeConnections:
    connections = FakeConnections()
    await connections.open(Connection(ID, "toron", None, datetime.now(UTC)))
    return connections


async def posting(
    status: int, payload: str | bytes, monkeypatch: pytest.MonkeyPatch, then: int | None = None
) -> tuple[list[bytes], FakeConnections, BaseException | None]:
    seen: list[bytes] = []
    connections = await kept()
    raised: BaseException | None = None
    async with serving(answering(status, seen, then)) as server:  # type: ignore[arg-type]
        monkeypatch.setenv("SOCKETS_URL", f"{server.url}stage")
        settings.cache_clear()
        try:
            await Posts(connections).post(ID, payload)
        except (Failure, Gone) as error:
            raised = error
    return seen, connections, raised


@on_a_loop
async def test_a_post_is_signed_and_carries_the_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    ((request,), _, raised) = await posting(200, json.dumps({"token": "é"}, ensure_ascii=False), monkeypatch)
    head, _, body = request.partition(b"\r\n\r\n")
    assert raised is None
    assert head.startswith(b"POST /stage/%40connections/L0SM9cOFvHcCIhw%3D HTTP/1.1\r\n")
    assert b"/eu-central-1/execute-api/aws4_request" in head
    assert body.decode() == '{"token": "é"}'


@on_a_loop
async def test_what_is_gone_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    _, connections, raised = await posting(410, "x", monkeypatch)
    assert isinstance(raised, Gone)
    assert connections.rows == {}


@on_a_loop
async def test_what_was_throttled_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _, raised = await posting(429, "x", monkeypatch, then=200)
    assert (len(seen), raised) == (2, None)


@on_a_loop
async def test_a_refused_post_is_an_upstream_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, raised = await posting(403, "x", monkeypatch)
    assert isinstance(raised, Failure)
    assert raised.kind is Kind.UPSTREAM


@on_a_loop
async def test_more_than_a_message_may_hold_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _, raised = await posting(200, "x" * (MAX_MESSAGE + 1), monkeypatch)
    assert seen == []
    assert isinstance(raised, Failure)
    assert (raised.kind, "128 KB" in raised.message) == (Kind.TOO_LARGE, True)


@on_a_loop
async def test_who_reads_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def stuck(peer: Peer) -> None:
        request = await peer.request()
        asked.append(request[:6])
        if request.startswith(b"DELETE"):
            await peer.answer(b"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n")
        else:
            await peer.hung_up()

    connections = await kept()
    monkeypatch.setattr("quintet.sockets.posts._SECONDS", 1.0)
    async with serving(stuck) as server:
        monkeypatch.setenv("SOCKETS_URL", f"{server.url}stage")
        settings.cache_clear()
        with pytest.raises(Gone):
            await Posts(connections).post(ID, "x")
    assert asked == [b"POST /", b"DELETE"]
    assert connections.rows == {}


@on_a_loop
async def test_closing_removes_also_what_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKETS_URL", "http://127.0.0.1:9/stage")
    settings.cache_clear()
    connections = await kept()
    await Posts(connections).close(ID)
    assert connections.rows == {}
    client.close_all()
