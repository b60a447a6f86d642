"""Servers that follow a script, byte by byte: what a client meets when the other side misbehaves."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from quintet.net import client

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_TURNS = 4  # of the loop, from a connection's being accepted to its being made


@dataclass
class Peer:
    """One connection as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The next request, head and body; empty when the client has hung up."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        return head + await self.reader.readexactly(length)

    async def answer(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def hung_up(self) -> None:
        """Returns when the client is gone."""
        with suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Server:
    port: int
    peers: list[Peer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def accepting(
    converse: Converse, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Each connection has a conversation, which ends with it; answers the port. At the end nothing of them is left.

    A conversation that was cancelled before it began closes nothing itself, and a reader that does not read would hold
    a closed connection open: so all are cut here, and that is waited for. A listener that closes before a connection
    which it has accepted is made would forget it.
    """
    loop = asyncio.get_running_loop()
    talking: set[asyncio.Task[None]] = set()
    connections: set[asyncio.BaseTransport] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(_conversation(converse, reader, writer))
        talking.add(task)
        task.add_done_callback(talking.discard)

    class Connection(asyncio.StreamReaderProtocol):
        def __init__(self) -> None:
            super().__init__(asyncio.StreamReader(loop=loop), begin, loop=loop)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            connections.add(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            connections.discard(self.transport)

    listener = await loop.create_server(Connection, host, port, ssl=tls)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        loop.remove_reader(listener.sockets[0].fileno())
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        listener.close()
        for task in [*talking]:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        while connections:
            for transport in [*connections]:
                transport.abort()  # type: ignore[attr-defined]
            await asyncio.sleep(0)


async def _conversation(converse: Converse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await converse(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """Runs the script for each connection and hangs up after it. A script that fails fails the test."""
    faults: list[BaseException] = []
    server = Server(0)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        server.peers.append(peer)
        try:
            await script(peer)
        except asyncio.CancelledError:
            pass
        except BaseException as fault:
            faults.append(fault)

    async with accepting(accept, host, tls=tls) as server.port:
        try:
            yield server
        finally:
            client.close_all()
    if faults:
        raise faults[0]


async def answer_hello(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(HELLO)
