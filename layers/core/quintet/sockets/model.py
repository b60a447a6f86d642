"""The nouns of the WebSocket API, and the ports on both of its sides."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.http.wholeness import whole
from quintet.identity.credentials import refused
from quintet.identity.model import Principal

MAX_MESSAGE = 128 << 10  # bytes, either way; API Gateway cuts it into frames of 32 KB itself
MAX_ATTRIBUTES = 300 << 10  # bytes: an item holds 400 KB, the caller included
LONGEST = timedelta(hours=2)  # API Gateway closes what is older
_BEARER = "bearer."
_MISSING = (
    "Not authenticated: send an API key as X-API-Key or X-Ryuzen-Key, a token as Authorization: Bearer, or either as "
    "the subprotocol bearer.<token>"
)


class Gone(Exception):  # noqa: N818 - an outcome
    """Nobody is at the other end any more."""


class Changed(Exception):  # noqa: N818 - an outcome
    """The connection's attributes were changed since they were read: another message of it was faster."""


@dataclass(frozen=True, slots=True)
class Connection:
    """`principal` is None where a protocol lets in callers who name themselves later, in a message.

    `attributes` are the protocol's own: anything that a DynamoDB item can hold, in all at most MAX_ATTRIBUTES. `rev`
    counts their changes.
    """

    id: str
    protocol: str
    principal: Principal | None
    connected_at: datetime
    ip: str = ""
    host: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    rev: int = 0

    def with_attributes(self, **changes: Any) -> "Connection":
        return replace(self, attributes={**self.attributes, **changes})


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client that wants to come in. Header names are in lower case.

    `caller` is who its headers, or a subprotocol `bearer.<token>`, name; `refusal` says why those do not count.
    A query may hold a secret: what stands there must not be logged.
    """

    connection_id: str
    protocol: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    ip: str
    at: datetime
    caller: Principal | None = None
    refusal: Failure | None = None

    @property
    def offered(self) -> tuple[str, ...]:
        """The subprotocols that the client speaks; those that only carry its token are left out."""
        return tuple(word for word in subprotocols(self.headers) if not word.startswith(_BEARER))

    @property
    def answer(self) -> str | None:
        """What a protocol without subprotocols of its own echoes: browsers hang up on who answers none of theirs."""
        return next(iter(self.offered or subprotocols(self.headers)), None)

    def principal(self) -> Principal:
        """Raises Failure: nobody comes in without a name."""
        if self.refusal is not None:
            raise self.refusal
        if self.caller is None:
            raise refused(_MISSING)
        return self.caller


def subprotocols(headers: Mapping[str, str]) -> tuple[str, ...]:
    words = headers.get("sec-websocket-protocol", "").split(",")
    return tuple(word.strip() for word in words if word.strip())


def bearer_of(headers: Mapping[str, str]) -> str:
    """Browsers can set no header on an upgrade, but offer subprotocols: one of those may carry the token."""
    return next((word[len(_BEARER) :] for word in subprotocols(headers) if word.startswith(_BEARER)), "")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a protocol lets a client in with. `subprotocol` is one that the client offered, or None."""

    principal: Principal | None
    subprotocol: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class SocketProtocol(Protocol):
    """What is spoken on connections of one kind. One instance serves all of them, and several messages at once."""

    async def connect(self, handshake: Handshake, /) -> Accepted:
        """Raises Failure to refuse the upgrade: the client sees its status. Nothing can be posted yet."""
        ...

    async def message(self, connection: Connection, message: str | bytes, /) -> None:
        """Messages of one connection may arrive while an earlier one is still handled: `Connections.turn` orders them.

        What is raised here, other than Gone, the client sees as API Gateway's `Internal server error`: a protocol
        tells its Failures in its own shape.
        """
        ...

    async def disconnect(self, connection: Connection, /) -> None:
        """Told once, when the client is gone already; a connection that broke may be told late or never."""
        ...


class Poster(Protocol):
    """The way back to an open connection, for any function."""

    async def post(self, connection_id: str, payload: str | bytes, /) -> None:
        """Raises Gone, or Failure(TOO_LARGE) for more than MAX_MESSAGE bytes."""
        ...

    async def close(self, connection_id: str, /) -> None:
        """With code 1000: API Gateway knows no other. One that is gone already is closed."""
        ...


class Connections(Protocol):
    """What is kept of open connections."""

    async def open(self, connection: Connection, /) -> None: ...

    async def find(self, connection_id: str, /) -> Connection | None: ...

    async def save(self, connection: Connection, /) -> Connection:
        """Its attributes as they are now. Raises Changed, or Gone when it is no longer open, or Failure(TOO_LARGE)."""
        ...

    async def remove(self, connection_id: str, /) -> None: ...

    async def live(self, now: datetime, /) -> int:
        """How many are open."""
        ...

    async def line_up(self, connection_id: str, ticket: str, until: datetime, /) -> Mapping[str, datetime]:
        """All tickets of the connection, this one included, and until when each counts. Raises Gone."""
        ...

    async def line(self, connection_id: str, /) -> Mapping[str, datetime]:
        """Raises Gone."""
        ...

    async def leave_line(self, connection_id: str, ticket: str, /) -> None: ...


def parsed(message: str | bytes) -> Any:
    """The JSON of a message. Raises ValueError or RecursionError."""
    return whole(json.loads(message))


def check_attributes(connection: Connection) -> None:
    """Raises Failure for more than is kept."""
    text = json.dumps(dict(connection.attributes), ensure_ascii=False, default=lambda raw: "x" * len(raw))
    if len(text.encode(errors="replace")) > MAX_ATTRIBUTES:
        most = MAX_ATTRIBUTES >> 10
        raise Failure(Kind.TOO_LARGE, f"What waits on this connection is more than {most} KB: wait for the answers")


def too_large(what: str = "This message") -> Failure:
    return Failure(
        Kind.TOO_LARGE, f"{what} is larger than the {MAX_MESSAGE >> 10} KB that a WebSocket message may have"
    )
