"""The HTTP client over real sockets, against servers that behave and servers that do not."""

import asyncio
import gc
import socket
from contextlib import suppress

import pytest

from quintet.net.client import NetError, send, stream
from tests.loops import on_a_loop
from tests.servers import CHUNKED, HELLO, Peer, answer_hello, serving


@on_a_loop
async def test_sends_a_request_and_returns_the_answer() -> None:
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.answer(b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi")

    async with serving(script) as server:
        response = await send("POST", server.url + "v1?q=1#part", headers={"X-Key": "k"}, body=b"body")
    assert (response.status, response.body, response.headers["x-a"]) == (201, b"hi", "b")
    head, body = seen[0].split(b"\r\n\r\n")
    assert head.split(b"\r\n")[:3] == [b"POST /v1?q=1 HTTP/1.1", b"host: 127.0.0.1:%d" % server.port, b"x-key: k"]
    assert body == b"body"


@on_a_loop
async def test_reads_an_answer_that_arrives_byte_by_byte() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        wire = CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"
        await peer.answer(*(wire[place : place + 1] for place in range(len(wire))))

    async with serving(script) as server:
        assert (await send("GET", server.url)).body == b"hello"


@on_a_loop
async def test_sends_and_receives_more_than_the_sockets_hold() -> None:
    async def script(peer: Peer) -> None:
        received = await peer.request()
        body = received.partition(b"\r\n\r\n")[2]
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    body = bytes(range(256)) * (32 << 10)
    async with serving(script) as server:
        assert (await send("POST", server.url, body=body)).body == body


@on_a_loop
async def test_follows_no_redirect_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with serving(script) as server:
        assert (await send("GET", server.url)).status == 302
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example/",
        "example/path",
        "http://",
        "http://user:pass@example/",
        "http://example/a b",
        "http://example/\r\nx: y",
        "http://exämple/",
        "http://example:port/",
        "",
    ],
)
@on_a_loop
async def test_refuses_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        await send("GET", url)
    assert "pass" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "in the middle"),
        (CHUNKED + b"5\r\nhello\r\n", "in the middle"),
        (b"220 mail.example ESMTP\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "ambiguous"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "larger than 64 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99, "larger than 64 bytes"),
    ],
)
@on_a_loop
async def test_a_broken_answer_is_an_error_and_never_half_a_body(answer: bytes, reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(answer)

    async with serving(script) as server:
        with pytest.raises(NetError, match=reason) as failed:
            await send("GET", server.url, max_bytes=64)
        assert (failed.value.sent, failed.value.timed_out) == (True, False)
        assert len(server.peers) == 1  # a fresh connection's failure is not retried


@on_a_loop
async def test_an_answer_cut_by_a_reset_is_an_error_even_without_a_length() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        read.set()
        await cut.wait()
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.writer.transport.abort()

    read, cut = asyncio.Event(), asyncio.Event()
    async with serving(script) as server, stream("GET", server.url) as answer:
        pieces = answer.chunks()
        assert await anext(pieces) == b"half"
        cut.set()
        with pytest.raises(NetError, match="broke"):
            await anext(pieces)


@on_a_loop
async def test_a_refused_connection_was_not_sent() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening
        with pytest.raises(NetError, match="could not connect") as failed:
            await send("GET", f"http://127.0.0.1:{bound.getsockname()[1]}/?token=s3cret")
    assert (failed.value.sent, failed.value.timed_out) == (False, False)
    assert "s3cret" not in str(failed.value)


@on_a_loop
async def test_a_name_that_cannot_be_looked_up_was_not_sent() -> None:
    with pytest.raises(NetError, match="could not connect") as failed:
        await send("GET", f"http://{'a' * 64}.test/")
    assert not failed.value.sent


@on_a_loop
async def test_the_deadline_covers_the_whole_call_and_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        drip = asyncio.create_task(dripping(peer))
        await peer.hung_up()
        drip.cancel()
        gone.set()

    async def dripping(peer: Peer) -> None:
        with suppress(ConnectionError):
            while True:
                await peer.answer(b"x")
                await asyncio.sleep(0.01)

    gone = asyncio.Event()
    async with serving(script) as server:
        with pytest.raises(NetError, match=r"did not answer within 1 s") as failed:
            await send("GET", server.url, timeout=1)
        assert (failed.value.sent, failed.value.timed_out) == (True, True)
        await gone.wait()


@on_a_loop
async def test_cancelling_a_call_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.hung_up()
        gone.set()

    asked, gone = asyncio.Event(), asyncio.Event()
    async with serving(script) as server:
        call = asyncio.create_task(send("GET", server.url))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await gone.wait()


@on_a_loop
async def test_an_ipv6_literal_keeps_its_brackets_in_the_host_header() -> None:
    asked = []

    async def script(peer: Peer) -> None:
        asked.append(await peer.request())
        await peer.answer(HELLO)

    async with serving(script) as server:
        await send("GET", f"http://[2001:db8::1]:{server.port}/", address="127.0.0.1")
    assert b"host: [2001:db8::1]:%d\r\n" % server.port in asked[0]


@on_a_loop
async def test_a_call_cancelled_at_any_moment_leaves_no_socket_open() -> None:
    """What is left open is found when memory is next collected, in the middle of another test."""
    async with serving(answer_hello) as server:
        for turns in range(12):
            call = asyncio.create_task(send("GET", server.url))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
            del call
            gc.collect()
