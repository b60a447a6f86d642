"""Asks as fast as it is answered, over kept connections on bare sockets: small enough never to be the bottleneck.

Prints JSON: answers, errors, milliseconds until the answer's end and until its first token.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools

TOKEN = b"Hello!"  # what the vendor's answers begin with
WARM_SECONDS = 1.0


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._answered: asyncio.Future[None] | None = None
        self._seen = b""
        self.first: float | None = None
        self.lost = False

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if self.first is None:
            self._seen += body
            if TOKEN in self._seen:
                self.first = time.perf_counter()

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self._answered is not None:
            self._answered.set_result(None)

    async def ask(self, request: bytes) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answered = asyncio.get_running_loop().create_future()
        self._seen, self.first = b"", None
        self._transport.write(request)
        await self._answered


class Tally:
    def __init__(self) -> None:
        self.whole: list[float] = []
        self.first: list[float] = []
        self.errors: list[str] = []


async def caller(host: str, port: int, request: bytes, until: float, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    connection: Connection | None = None
    while time.perf_counter() < until:
        if connection is None or connection.lost:
            _, connection = await loop.create_connection(Connection, host, port)
        start = time.perf_counter()
        try:
            await connection.ask(request)
        except (OSError, httptools.HttpParserError) as error:
            tally.errors.append(repr(error))
            connection = None
            continue
        end = time.perf_counter()
        if connection.status != 200 or connection.first is None:
            tally.errors.append(f"status {connection.status}")
            continue
        tally.whole.append((end - start) * 1000)
        tally.first.append((connection.first - start) * 1000)


async def measure(url: str, headers: list[str], body: bytes, callers: int, seconds: float) -> dict[str, Any]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", "content-type: application/json"]
    lines += [f"content-length: {len(body)}", *headers]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    begun = 0.0
    tally = Tally()
    for seconds_ in (WARM_SECONDS, seconds):
        tally, begun = Tally(), time.perf_counter()
        asking = [caller(parts.hostname, parts.port, request, begun + seconds_, tally) for _ in range(callers)]
        if seconds_ is seconds:
            print("warm", flush=True)
        await asyncio.gather(*asking)
    lasted = time.perf_counter() - begun
    return {
        "answers": len(tally.whole),
        "per_second": len(tally.whole) / lasted,
        "errors": tally.errors[:3],
        "failed": len(tally.errors),
        "p50": at(tally.whole, 0.5),
        "p99": at(tally.whole, 0.99),
        "first_p50": at(tally.first, 0.5),
        "first_p99": at(tally.first, 0.99),
    }


def at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("url")
    options.add_argument("body", type=Path)
    options.add_argument("--callers", type=int, default=1)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--header", action="append", default=[])
    given = options.parse_args()
    print(
        json.dumps(asyncio.run(measure(given.url, given.header, given.body.read_bytes(), given.callers, given.seconds)))
    )
