"""The webhooks tables and queue in memory, and receivers that behave as they are told."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from quintet.store.transactions import Unmet, Write
from quintet.webhooks.gate import Gate
from quintet.webhooks.model import Delivery, Endpoint, Standing, Status
from quintet.webhooks.queue import Errand
from tests.servers import accepting


class FakeEndpoints:
    def __init__(self) -> None:
        self.rows: dict[str, Endpoint] = {}
        self.told: list[Write] = []
        self.stopped: list[tuple[str, Status, str]] = []

    def add(self, endpoint: Endpoint, *also: Write) -> None:
        self.rows[endpoint.id] = endpoint
        self.told += also

    def change(self, after: Endpoint, *also: Write) -> None:
        if self.rows[after.id].version != after.version - 1:
            raise Unmet(0)
        self.rows[after.id] = after
        self.told += also

    def remove(self, endpoint: Endpoint, *also: Write) -> None:
        if self.rows.get(endpoint.id) != endpoint:
            raise Unmet(0)
        del self.rows[endpoint.id]
        self.told += also

    async def find(self, endpoint_id: str) -> Endpoint | None:
        return self.rows.get(endpoint_id)

    async def everyone(self) -> list[Endpoint]:
        return sorted(self.rows.values(), key=lambda each: each.id, reverse=True)

    async def stop(self, endpoint: Endpoint, status: Status, reason: str, now: datetime) -> None:
        self.stopped.append((endpoint.id, status, reason))
        self.rows[endpoint.id] = replace(self.rows[endpoint.id], status=status, reason=reason)


class FakeDeliveries:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Delivery] = {}
        self.leases: dict[tuple[str, str], datetime] = {}

    async def add(self, delivery: Delivery) -> bool:
        key = (delivery.endpoint_id, delivery.id)
        return self.rows.setdefault(key, delivery) is delivery

    async def find(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        return self.rows.get((endpoint_id, delivery_id))

    async def claim(self, delivery: Delivery, now: datetime) -> bool:
        key = (delivery.endpoint_id, delivery.id)
        known = self.rows[key]
        if known.standing is not Standing.PENDING or known.tried != delivery.tried:
            return False
        if key in self.leases and self.leases[key] >= now:
            return False
        self.leases[key] = now + timedelta(seconds=45)
        return True

    async def give_back(self, delivery: Delivery, next_at: datetime) -> None:
        key = (delivery.endpoint_id, delivery.id)
        self.rows[key] = replace(self.rows[key], next_at=next_at)
        self.leases.pop(key, None)

    async def record(self, delivery: Delivery) -> None:
        key = (delivery.endpoint_id, delivery.id)
        if self.rows[key].standing is not Standing.PENDING:
            return
        self.rows[key] = delivery
        self.leases.pop(key, None)

    async def ask_again(self, delivery: Delivery, now: datetime) -> bool:
        key = (delivery.endpoint_id, delivery.id)
        if key in self.leases and self.leases[key] >= now:
            return False
        self.rows[key] = replace(self.rows[key], standing=Standing.PENDING, tried=0, asked_at=now, next_at=now)
        self.leases.pop(key, None)
        return True


class FakeGates:
    def __init__(self) -> None:
        self.rows: dict[str, Gate] = defaultdict(Gate)

    async def read(self, endpoint_id: str) -> Gate:
        return self.rows[endpoint_id]

    async def write(self, endpoint_id: str, gate: Gate) -> bool:
        if self.rows[endpoint_id].version != gate.version:
            return False
        self.rows[endpoint_id] = replace(gate, version=gate.version + 1)
        return True


@dataclass
class FakeQueue:
    errands: list[Errand] = field(default_factory=list)

    async def send(self, errands: Sequence[Errand], now: datetime) -> None:
        self.errands += errands

    def take(self, until: datetime) -> list[Errand]:
        """What may be run by then."""
        ahead = [each for each in self.errands if each.not_before is not None and each.not_before > until]
        ready = [each for each in self.errands if each.not_before is None or each.not_before <= until]
        self.errands = ahead
        return ready


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """`answer` is what it says to the n-th request, from 0 on: a whole HTTP answer, or None to hang up midway."""

    url: str
    answer: Callable[[int], Awaitable[bytes | None]]
    received: list[Received] = field(default_factory=list)


def says(status: int, *headers: str) -> Callable[[int], Awaitable[bytes | None]]:
    head = "\r\n".join([f"HTTP/1.1 {status} Said", "Content-Length: 0", *headers, "", ""])

    async def answer(_number: int) -> bytes:
        return head.encode()

    return answer


@asynccontextmanager
async def receiving(answer: Callable[[int], Awaitable[bytes | None]]) -> Any:
    """A receiver on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                receiver.received.append(Received(headers, body, asyncio.get_running_loop().time()))
                told = await receiver.answer(len(receiver.received) - 1)
                if told is None:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                    await writer.drain()
                    return
                writer.write(told)
                await writer.drain()

    receiver = Receiver("", answer)
    async with accepting(serve) as port:
        receiver.url = f"http://127.0.0.1:{port}/hook"
        yield receiver


@contextmanager
def listening_receiver() -> Iterator[Receiver]:
    """On a loop of its own."""
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()
    found: list[Receiver] = []

    async def run() -> None:
        async with receiving(says(200)) as one:
            found.append(one)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()
