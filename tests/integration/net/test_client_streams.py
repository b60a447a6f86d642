"""Streamed answers: piece by piece, bounded in time, and hung up when nobody reads on."""

import asyncio

import pytest

from quintet.net.client import NetError, stream
from tests.loops import on_a_loop
from tests.servers import CHUNKED, Peer, serving


@on_a_loop
async def test_hands_on_each_piece_as_it_arrives() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(CHUNKED)
            for piece in (b"one", b"two", b"three"):
                await peer.answer(b"%x\r\n%b\r\n" % (len(piece), piece))
                await taken.wait()
                taken.clear()
            await peer.answer(b"0\r\n\r\n")

    taken = asyncio.Event()
    async with serving(script) as server:
        for _ in range(2):
            got = []
            async with stream("GET", server.url) as answer:
                assert (answer.status, answer.headers["transfer-encoding"]) == (200, "chunked")
                async for piece in answer.chunks():
                    got.append(piece)
                    taken.set()
            assert got == [b"one", b"two", b"three"]
        assert len(server.peers) == 1  # read to its end, the connection is kept


@on_a_loop
async def test_leaving_a_stream_early_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await peer.hung_up()
        gone.set()

    gone = asyncio.Event()
    async with serving(script) as server:
        async with stream("GET", server.url) as answer:
            async for piece in answer.chunks():
                assert piece == b"one"
                break
        await gone.wait()


@on_a_loop
async def test_a_stream_left_after_its_last_byte_arrived_keeps_the_connection() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(CHUNKED + b"c\r\ndata: [DONE]\r\n0\r\n\r\n")

    async with serving(script) as server:
        for _ in range(2):
            async with stream("GET", server.url) as answer:
                async for piece in answer.chunks():
                    assert piece == b"data: [DONE]"
                    break
        assert len(server.peers) == 1


@on_a_loop
async def test_cancelling_the_reader_of_a_stream_hangs_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await peer.hung_up()
        gone.set()

    async def read() -> None:
        async with stream("GET", server.url) as answer:
            async for _ in answer.chunks():
                reading.set()

    reading, gone = asyncio.Event(), asyncio.Event()
    async with serving(script) as server:
        task = asyncio.create_task(read())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


@on_a_loop
async def test_silence_between_two_pieces_is_bounded() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await peer.hung_up()

    async with serving(script) as server, stream("GET", server.url, idle=0.1) as answer:
        pieces = answer.chunks()
        assert await anext(pieces) == b"one"
        with pytest.raises(NetError) as failed:
            await anext(pieces)
        assert (failed.value.sent, failed.value.timed_out) == (True, True)


@on_a_loop
async def test_a_stream_that_does_not_begin_in_time_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\n")
        await peer.hung_up()

    async with serving(script) as server:
        with pytest.raises(NetError) as failed:
            async with stream("GET", server.url, timeout=0.1):
                pytest.fail("there was no answer to enter with")
        assert failed.value.timed_out


@on_a_loop
async def test_gives_what_arrived_before_it_says_that_the_rest_is_missing() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"3\r\none\r\n3\r\n")
        await taken.wait()
        await peer.answer(b"t")

    taken = asyncio.Event()
    async with serving(script) as server, stream("GET", server.url) as answer:
        pieces = answer.chunks()
        assert await anext(pieces) == b"one"
        taken.set()
        assert await anext(pieces) == b"t"
        with pytest.raises(NetError, match="in the middle"):
            await anext(pieces)


@on_a_loop
async def test_a_slow_reader_holds_the_sender_back() -> None:
    total = 64 << 20
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while written < total:
            try:
                async with asyncio.timeout(1):
                    await peer.answer(bytes(1 << 20))
            except TimeoutError:
                stuck.set()
                await peer.answer(b"")
            written += 1 << 20

    stuck = asyncio.Event()
    async with serving(script) as server, stream("GET", server.url) as answer:
        await stuck.wait()
        assert written < total
        assert sum([len(piece) async for piece in answer.chunks()]) == total
