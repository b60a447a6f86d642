"""One HTTP/1.1 client: connections kept across invocations, deadlines down to the socket, bodies bounded."""

import asyncio
import re
import select
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple, Protocol, Self
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from quintet.copies import forget_in_copies
from quintet.net import http1
from quintet.net.guard import Rules, Unresolved, resolve_all

_KEEP_SECONDS = 50.0  # servers commonly hang up after 60
_KEEP_MOST = 64
_NEXT_ADDRESS = 2.0  # seconds after which another address of a name is dialled
_HIGH_WATER = 256 << 10  # a stream that is read slower than it arrives is paused here
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_URL = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Response:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedResponse(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, transfer encoding removed. Raises NetError when it ends early."""
        ...


class NetError(Exception):
    """The other side could not be reached or did not speak HTTP. `sent` says whether it may have seen the request."""

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


async def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 10.0,
    max_bytes: int = 16 << 20,
    address: str | None = None,
    rules: Rules | None = None,
    idempotent: bool | None = None,
) -> Response:
    """The whole exchange within `timeout` seconds.

    `address` is the IP to dial; the host's name still goes into TLS and the Host header. With `rules` the addresses of
    the name are checked whenever it is dialled, and nothing else is: raises Forbidden. `idempotent` allows the one
    retry on a fresh connection that a kept one may need; by default the method says so. Raises ValueError for a URL or
    a header that cannot be sent.
    """
    call = _Call(method, url, headers or {}, body, address, idempotent, max_bytes, rules=rules)
    try:
        async with asyncio.timeout(timeout):
            reader = await call.begin()
            while not reader.done:
                await call.more()
            return Response(reader.status, reader.headers, reader.take())
    except TimeoutError:
        raise call.late(timeout) from None
    finally:
        call.end()


@asynccontextmanager
async def stream(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 10.0,
    idle: float = 60.0,
    address: str | None = None,
    rules: Rules | None = None,
    idempotent: bool | None = None,
    fresh: bool = False,
) -> AsyncIterator[StreamedResponse]:
    """`timeout` is until the response's headers, `idle` between two pieces of the body. A `fresh` one has
    a connection of its own, so that it is sent once and no more.

    Leaving the block early hangs up.
    """
    call = _Call(method, url, headers or {}, body, address, idempotent, None, rules=rules, fresh=fresh)
    try:
        try:
            async with asyncio.timeout(timeout):
                reader = await call.begin()
        except TimeoutError:
            raise call.late(timeout) from None
        yield _Streamed(call, reader, idle)
    finally:
        call.end()


def host_of(url: str) -> str:
    """The Host header that a call to this URL carries: a signature covers it."""
    return _parse(url)[1]


def close_all() -> None:
    """Hangs up every kept connection: a snapshot of this process must not hold any."""
    for loop, pool in list(_pools.items()):
        if loop.is_closed():
            continue  # with it went its connections
        pool.close()
        if not in_a_loop():
            loop.run_until_complete(asyncio.sleep(0))  # a transport closes its socket in the loop's next turn


def kept() -> tuple[int, int]:
    """Idle connections of this process, and the most that it keeps."""
    return sum(pool.idle for pool in _pools.values()), _KEEP_MOST


def in_a_loop() -> bool:
    """No other loop can be run from within one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@cache
def tls() -> ssl.SSLContext:
    """Loading the trusted roots takes 20 ms: only who calls https pays them."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Origin(NamedTuple):
    """What a connection leads to; equal origins share connections."""

    scheme: str
    host: str
    port: int
    address: str
    rules: Rules | None = None

    @property
    def url(self) -> str:
        """Without its path, which may hold a token."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"


@lru_cache(256)
def _parse(url: str) -> tuple[_Origin, str, str]:
    """Its origin, Host header and request target. The messages leave the URL out: it may hold a token."""
    if not _URL.fullmatch(url):
        raise ValueError("a URL is printable ASCII, percent-encoded")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an http or https URL with a host and without credentials")
    usual = 443 if parts.scheme == "https" else 80
    port = parts.port or usual
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    origin = _Origin(parts.scheme, parts.hostname, port, parts.hostname)
    return origin, name if port == usual else f"{name}:{port}", target


class _Connection(asyncio.Protocol):
    """One socket that carries one exchange at a time."""

    def __init__(self, origin: _Origin, pool: "_Pool") -> None:
        self.origin = origin
        self.reader: http1.Reader | None = None
        self.lost = False  # nothing more will arrive
        self.reason = "the connection was closed before the answer"
        self._pool = pool
        self._kept_since = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport
        self._socket = select.poll()

    def ask(self, method: str, request: bytes, limit: int | None) -> http1.Reader:
        self.reader = reader = http1.Reader(method, limit)
        self._transport.write(request)
        return reader

    async def changed(self) -> None:
        """Until something arrives, or nothing more will."""
        self._transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def give_back(self) -> None:
        """To the pool if both sides have said all they had to say; else it is closed."""
        reader = self.reader
        clean = reader is not None and reader.done and reader.keep and not self._transport.get_write_buffer_size()
        if self.lost or not clean:
            self.close()
            return
        self.reader = None
        self._kept_since = time.time()  # the wall clock goes on while a Lambda is frozen
        self._transport.resume_reading()
        self._pool.keep(self)

    def usable(self) -> bool:
        """Asks the socket itself: between two invocations no loop runs that could have noticed its end."""
        fresh = 0 <= time.time() - self._kept_since < _KEEP_SECONDS
        return fresh and not self.lost and not self._socket.poll(0)

    def close(self) -> None:
        self.lost = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self.reader is None:
            self._refuse("bytes that nobody asked for")
            return
        try:
            self.reader.feed(data)
        except http1.Malformed as error:
            self._refuse(str(error))
            return
        if self._waiter is None and self.reader.held >= _HIGH_WATER:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        try:
            if self.reader is not None and self.reader.started:
                self.reader.end()
        except http1.Malformed as error:
            self._lose(str(error))
        self._lose(self.reason)

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(self.reason if error is None else f"the connection broke ({type(error).__name__})")

    def _refuse(self, reason: str) -> None:
        self._lose(reason)
        self._transport.abort()

    def _lose(self, reason: str) -> None:
        if not self.lost:
            self.lost, self.reason = True, reason
            self._pool.forget(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Pool:
    """The idle connections of one event loop, the longest idle first."""

    def __init__(self) -> None:
        self._idle: dict[_Connection, None] = {}
        self._end = self._until_the_loop_ends()

    @staticmethod
    async def here() -> "_Pool":
        loop = asyncio.get_running_loop()
        pool = _pools.get(loop)
        if pool is None:
            pool = _pools[loop] = _Pool()
            await anext(pool._end)
        return pool

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        """Whoever closes a loop properly closes its generators first: that is how the pool learns of it."""
        try:
            yield
        finally:
            self.close()

    @property
    def idle(self) -> int:
        return len(self._idle)

    def take(self, origin: _Origin) -> _Connection | None:
        for connection in [each for each in reversed(self._idle) if each.origin == origin]:
            del self._idle[connection]
            if connection.usable():
                return connection
            connection.close()
        return None

    def keep(self, connection: _Connection) -> None:
        self._idle[connection] = None
        if len(self._idle) > _KEEP_MOST:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.close()

    def forget(self, connection: _Connection) -> None:
        self._idle.pop(connection, None)

    def close(self) -> None:
        while self._idle:
            self._idle.popitem()[0].close()

    async def dial(self, origin: _Origin) -> _Connection:
        if origin.rules is None:
            return await self._dial(origin, origin.address)
        *others, last = await resolve_all(origin.url, origin.rules)
        for address in others:
            with suppress(OSError):  # a timeout is one
                async with asyncio.timeout(_NEXT_ADDRESS):
                    return await self._dial(origin, address)
        return await self._dial(origin, last)

    async def _dial(self, origin: _Origin, address: str) -> _Connection:
        """One address after the other: asyncio's race of addresses forgets a socket that wins it as the call ends."""
        secure = origin.scheme == "https"
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(origin, self),
            address,
            origin.port,
            ssl=tls() if secure else None,
            server_hostname=origin.host if secure else None,
        )
        return connection


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()
forget_in_copies(close_all)


class _Call:
    """One request on its way, from the first byte to the connection's return."""

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        address: str | None,
        idempotent: bool | None,
        limit: int | None,
        *,
        rules: Rules | None = None,
        fresh: bool = False,
    ) -> None:
        origin, host, target = _parse(url)
        self._origin = origin._replace(address=address or origin.address, rules=rules)
        self._request = http1.request(method, target, host, headers, body)
        self._method = method
        self._limit = limit
        self._idempotent = method in _IDEMPOTENT if idempotent is None else idempotent
        self._fresh = fresh
        self._sent = False
        self._connection: _Connection | None = None

    async def begin(self) -> http1.Reader:
        """Sends, and returns when the answer's head is there."""
        pool = await _Pool.here()
        kept = None if self._fresh else pool.take(self._origin)
        if kept is not None:
            reader = await self._ask(kept)
            if reader.status:
                return reader
            if reader.started or not self._idempotent:
                raise self._broken(kept)
            kept.close()  # the other side had given it up just before we asked: once more, on a fresh one
        connection = await self._dial(pool)
        reader = await self._ask(connection)
        if not reader.status:
            raise self._broken(connection)
        return reader

    async def more(self) -> None:
        """Until more of the answer has arrived."""
        assert self._connection is not None
        if self._connection.lost:
            raise self._broken(self._connection)
        await self._connection.changed()

    def late(self, seconds: float) -> NetError:
        return NetError(f"{self._origin.host} did not answer within {seconds:g} s", sent=self._sent, timed_out=True)

    def end(self) -> None:
        if self._connection is None:
            return
        if self._fresh:
            self._connection.close()
        else:
            self._connection.give_back()

    async def _ask(self, connection: _Connection) -> http1.Reader:
        self._connection = connection
        self._sent = True
        reader = connection.ask(self._method, self._request, self._limit)
        while not reader.status and not connection.lost:
            await connection.changed()
        return reader

    async def _dial(self, pool: _Pool) -> _Connection:
        self._sent = False
        try:
            return await pool.dial(self._origin)
        except Unresolved as error:
            raise NetError(f"could not connect to {self._origin.host}: {error}", sent=False) from error
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            late = isinstance(error, TimeoutError)
            raise NetError(f"could not connect to {self._origin.host}: {reason}", sent=False, timed_out=late) from error

    def _broken(self, connection: _Connection) -> NetError:
        return NetError(f"{self._origin.host}: {connection.reason}", sent=self._sent)


class _Streamed:
    def __init__(self, call: _Call, reader: http1.Reader, idle: float) -> None:
        self._call = call
        self._reader = reader
        self._idle = idle
        self.status = reader.status
        self.headers: Mapping[str, str] = reader.headers

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._reader.held and not self._reader.done:
            await self._wait()
        if not self._reader.held:
            raise StopAsyncIteration
        return self._reader.take()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._idle):
                while not self._reader.held and not self._reader.done:
                    await self._call.more()
        except TimeoutError:
            raise self._call.late(self._idle) from None
