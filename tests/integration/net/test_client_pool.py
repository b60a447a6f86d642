"""Connections that are kept: shared, noticed when they end, and never trusted too far."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from quintet.net import client
from quintet.net.client import NetError, send
from tests.loops import on_a_loop
from tests.servers import HELLO, Peer, answer_hello, serving


@contextmanager
def blocking_server(close_after_each: bool = False) -> Iterator[tuple[str, "list[socket.socket]", threading.Semaphore]]:
    """Answers in a thread. The semaphore counts connections that have ended."""
    accepted: list[socket.socket] = []
    ended = threading.Semaphore(0)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while b"\r\n\r\n" in connection.recv(1 << 16):
                connection.sendall(HELLO)
                if close_after_each:
                    break
        ended.release()

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", accepted, ended
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@on_a_loop
async def test_calls_one_after_another_share_a_connection() -> None:
    async with serving(answer_hello) as server:
        for _ in range(3):
            await send("POST", server.url)
        assert len(server.peers) == 1


@on_a_loop
async def test_calls_at_once_each_have_their_own() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await barrier.wait()
            await peer.answer(HELLO)

    barrier = asyncio.Barrier(3)
    async with serving(script) as server:
        for _ in range(2):
            await asyncio.gather(*(send("GET", server.url) for _ in range(3)))
        assert len(server.peers) == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
@on_a_loop
async def test_a_connection_that_cannot_go_on_is_not_kept(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(answer)
        await peer.hung_up()

    async with serving(script) as server:
        await send("GET", server.url)
        await send("GET", server.url)
        assert len(server.peers) == 2


@on_a_loop
async def test_an_answer_that_overtakes_the_request_spoils_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await done.wait()

    done = asyncio.Event()
    async with serving(script) as server:
        assert (await send("POST", server.url, body=bytes(32 << 20))).status == 413
        assert (await send("POST", server.url)).status == 413
        assert len(server.peers) == 2
        done.set()


@on_a_loop
async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(HELLO)

    async with serving(script) as server:
        await send("POST", server.url)
        await server.peers[0].writer.wait_closed()
        assert (await send("POST", server.url)).body == b"hello"


@pytest.mark.parametrize(("method", "idempotent"), [("GET", None), ("PUT", None), ("POST", True)])
@on_a_loop
async def test_a_kept_connection_that_closes_unanswered_is_retried_once(method: str, idempotent: bool | None) -> None:
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        if len(server.peers) < 3:
            await peer.answer(HELLO)
            seen.append(await peer.request())  # and closes without a word

    async with serving(script) as server:
        await send(method, server.url)
        assert (await send(method, server.url, idempotent=idempotent)).body == b"hello"
        assert (len(server.peers), len(seen)) == (2, 3)
        with pytest.raises(NetError, match="before the answer") as failed:
            await send(method, server.url, idempotent=idempotent)
        assert failed.value.sent
        assert (len(server.peers), len(seen)) == (3, 5)


@pytest.mark.parametrize(("method", "idempotent"), [("POST", None), ("GET", False)])
@on_a_loop
async def test_what_may_have_been_done_is_not_done_again(method: str, idempotent: bool | None) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(HELLO)
        await peer.request()

    async with serving(script) as server:
        await send(method, server.url)
        with pytest.raises(NetError, match="before the answer") as failed:
            await send(method, server.url, idempotent=idempotent)
        assert failed.value.sent
        assert len(server.peers) == 1


@on_a_loop
async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(HELLO)
        await peer.request()
        await peer.answer(b"HTTP/1.1 2")

    async with serving(script) as server:
        await send("GET", server.url)
        with pytest.raises(NetError, match="in the middle"):
            await send("GET", server.url)
        assert len(server.peers) == 1


@on_a_loop
async def test_a_kept_connection_grows_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer_hello) as server:
        await send("GET", server.url)
        monkeypatch.setattr(client, "_KEEP_SECONDS", 0.0)
        await send("GET", server.url)
        assert len(server.peers) == 2


@on_a_loop
async def test_the_longest_idle_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_KEEP_MOST", 2)

    async def script(peer: Peer) -> None:
        while await peer.request():
            await barrier.wait()
            await peer.answer(HELLO)
        gone.append(peer)
        closed.release()

    gone: list[Peer] = []
    closed = asyncio.Semaphore(0)
    barrier = asyncio.Barrier(4)
    async with serving(script) as server:
        await asyncio.gather(*(send("GET", server.url) for _ in range(4)))
        await closed.acquire()
        await closed.acquire()
        assert len(gone) == 2


def test_a_connection_is_kept_from_one_run_of_the_loop_to_the_next() -> None:
    with blocking_server() as (url, accepted, _), asyncio.Runner() as runner:
        runner.run(send("POST", url))
        runner.run(send("POST", url))
        assert len(accepted) == 1


def test_notices_what_was_closed_while_no_loop_ran() -> None:
    with blocking_server(close_after_each=True) as (url, accepted, ended), asyncio.Runner() as runner:
        runner.run(send("POST", url))
        assert ended.acquire(timeout=60)
        assert runner.run(send("POST", url)).body == b"hello"
        assert len(accepted) == 2


def test_close_all_hangs_up_at_once_so_that_a_snapshot_holds_no_connection() -> None:
    with blocking_server() as (url, accepted, ended), asyncio.Runner() as runner:
        runner.run(send("GET", url))
        client.close_all()
        assert ended.acquire(timeout=60)
        assert runner.run(send("GET", url)).body == b"hello"
        assert len(accepted) == 2


def test_the_end_of_a_loop_hangs_up_its_connections() -> None:
    with blocking_server() as (url, _, ended):
        asyncio.run(send("GET", url))
        assert ended.acquire(timeout=60)


@on_a_loop
async def test_two_hosts_behind_one_address_share_no_connection() -> None:
    async with serving(answer_hello) as server:
        for host in ("one.test", "two.test", "one.test"):
            await send("GET", f"http://{host}:{server.port}/", address="127.0.0.1")
        assert len(server.peers) == 2
