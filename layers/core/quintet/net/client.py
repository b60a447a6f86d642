"""One HTTP/1.1 client: connections kept across invocations, deadlines down to the socket, bodies bounded."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


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
) -> Response:
    """The whole exchange within `timeout` seconds.

    `address` is the IP to dial; the host's name still goes into TLS and the Host header.
    """
    raise NotImplementedError


def stream(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 10.0,
    idle: float = 60.0,
    address: str | None = None,
) -> AbstractAsyncContextManager[StreamedResponse]:
    """`timeout` is until the response's headers, `idle` between two pieces of the body.

    Leaving the block early hangs up.
    """
    raise NotImplementedError
