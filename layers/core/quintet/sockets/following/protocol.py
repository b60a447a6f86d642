"""What is said on a connection of kyros.md's: auth, subscribe, unsubscribe, ping."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.events.platform import PLATFORM
from quintet.http.dialects import KYROS
from quintet.http.work import offload
from quintet.identity.credentials import TOKEN_EXPIRED, Credential
from quintet.identity.model import Principal
from quintet.sockets.following.model import NEEDS, Follower, filters, kinds, message
from quintet.sockets.following.telling import Log, Telling, gap
from quintet.sockets.model import Accepted, Changed, Connection, Gone, Handshake, Poster, parsed
from quintet.store.clock import Clock

AUTH_SECONDS = 10
MOST_REFUSALS = 3
_SAVES = 8
_LATE = f'Authenticate within {AUTH_SECONDS} seconds: send {{"type":"auth","token":"..."}}'
_FIRST = 'Authenticate first: send {"type":"auth","token":"..."}'

Authenticate = Callable[[Connection, Credential, datetime], Awaitable[Principal]]
"""Counts the message like a request of this connection's, and records it."""

Curfew = Callable[[str], Awaitable[None]]
"""Calls `Following.curfew` for this connection after AUTH_SECONDS."""


class Followers(Protocol):
    """`following.store` over the table."""

    async def put(self, follower: Follower, now: datetime, /) -> None: ...

    async def remove(self, connection_id: str, /) -> Follower | None: ...

    async def take_place(self, ticket: str, now: datetime, /) -> int | None: ...


class Connections(Protocol):
    async def find(self, connection_id: str, /) -> Connection | None: ...

    async def name(self, connection_id: str, principal: Principal, /) -> None: ...

    async def save(self, connection: Connection, /) -> Connection: ...


@dataclass(frozen=True, slots=True)
class Following:
    """A `SocketProtocol`."""

    connections: Connections
    followers: Followers
    telling: Telling
    log: Log
    poster: Poster
    authenticate: Authenticate
    curfew_for: Curfew
    clock: Clock

    async def connect(self, handshake: Handshake) -> Accepted:
        """Whoever names itself on the way in needs no message; all others have a few seconds for one."""
        if handshake.caller is None:
            await self.curfew_for(handshake.connection_id)
        return Accepted(handshake.caller, handshake.answer)

    async def message(self, connection: Connection, message: str | bytes) -> None:
        try:
            await self._obey(connection, _read(message))
        except Failure as failure:
            await self._tell(connection, failure)

    async def disconnect(self, connection: Connection) -> None:
        await self.telling.lost(connection.id)

    async def _obey(self, connection: Connection, given: Mapping[str, Any]) -> None:
        kind = given.get("type")
        if kind == "auth":
            await self._auth(connection, given)
        elif kind == "ping":
            await self._say(connection, "pong", {})
        elif kind == "subscribe":
            await self._subscribe(connection, given)
        elif kind == "unsubscribe":
            await self._unsubscribe(connection, given)
        else:
            raise Failure(Kind.INVALID, "'type' must be one of: auth, subscribe, unsubscribe, ping")

    async def curfew(self, connection_id: str) -> None:
        """The time to say who one is is over."""
        connection = await self.connections.find(connection_id)
        if connection is not None and connection.principal is None:
            await self._say(connection, "error", {"code": "UNAUTHORIZED", "message": _LATE})
            await self.poster.close(connection_id)

    async def _auth(self, connection: Connection, given: Mapping[str, Any]) -> None:
        token = given.get("token")
        if not isinstance(token, str) or not token:
            raise Failure(Kind.INVALID, "'token' must be a token or an API key")
        try:
            principal = await self.authenticate(connection, Credential(token, bearer=True), self.clock.now())
        except Failure as failure:
            await self._refused(connection, failure)
            return
        await self.connections.name(connection.id, principal)
        known = {"user_id": principal.id, "roles": list(principal.roles), "permissions": sorted(principal.permissions)}
        await self._say(connection, "auth_success", known)
        # The document's sample client subscribes when it is told that the way is open.
        await self._say(connection, "open", {"connection_id": connection.id})

    async def _refused(self, connection: Connection, failure: Failure) -> None:
        """Whoever cannot say who it is after a few attempts is guessing."""
        refusals = await self._count(connection)
        await self._tell(connection, failure)
        if refusals >= MOST_REFUSALS:
            await self.poster.close(connection.id)

    async def _count(self, connection: Connection) -> int:
        """How often this connection was refused so far, this time included; messages may come side by side."""
        known: Connection | None = connection
        for _ in range(_SAVES):
            if known is None:
                raise Gone
            refusals = int(known.attributes.get("refusals", 0)) + 1
            try:
                await self.connections.save(known.with_attributes(refusals=refusals))
            except Changed:
                known = await self.connections.find(connection.id)
            else:
                return refusals
        return MOST_REFUSALS

    async def _subscribe(self, connection: Connection, given: Mapping[str, Any]) -> None:
        principal = self._named(connection)
        events = kinds(given.get("events"))
        for event in sorted(events):
            principal.need(NEEDS[event])
        since = given.get("since")
        if since is not None and (not isinstance(since, int) or isinstance(since, bool) or not 0 <= since < 1 << 53):
            raise Failure(Kind.INVALID, "'since' must be the number of the last message that was seen")
        one, other = filters(given, "task_id", "task_ids"), filters(given, "resource_id", "resource_ids")
        async with self.telling.reserved(connection.id) as before:
            follower = Follower(
                connection_id=connection.id,
                principal=principal.id,
                account=principal.account,
                permissions=principal.permissions,
                events=events | (before.events if before else frozenset()),
                cursor=0,
                tasks=one,
                resources=other,
                named_at=connection.connected_at,
                ends_at=principal.expires_at,
            )
            await self._place(connection, follower, before.cursor if since is None and before else since)
        # What happened since the head was read is told by the log's stream, or here, whichever is first.
        await self.telling.catch_up(connection.id, (await offload(self.log.head, PLATFORM)).seq)

    async def _place(self, connection: Connection, follower: Follower, place: int | None) -> None:
        """It is told that it follows before it is told anything else."""
        head = (await offload(self.log.head, PLATFORM)).seq
        if place is None:
            place = await self.followers.take_place(follower.ticket, self.clock.now())
        follower = replace(follower, cursor=await self._begin(connection, head if place is None else place, head))
        await self.followers.put(follower, self.clock.now())
        told = {"events": sorted(follower.events), "seq": follower.cursor, "head": head}
        await self._say(connection, "subscribed", {**told, "resumed": place is not None and place < head})

    async def _begin(self, connection: Connection, since: int, head: int) -> int:
        if since == head:
            return head
        reading = await offload(self.log.read, PLATFORM, since, 1)
        if not reading.lost:
            return since
        await self.poster.post(connection.id, gap(since, reading, self.clock.now()))
        return reading.entries[0].seq - 1 if reading.entries else head

    async def _unsubscribe(self, connection: Connection, given: Mapping[str, Any]) -> None:
        self._named(connection)
        gone = kinds(given["events"]) if "events" in given else frozenset(NEEDS)
        async with self.telling.reserved(connection.id) as before:
            left = (before.events if before else frozenset()) - gone
            if before is not None and left:
                await self.followers.put(replace(before, events=left), self.clock.now())
            else:
                await self.followers.remove(connection.id)
        await self._say(connection, "unsubscribed", {"events": sorted(left)})

    def _named(self, connection: Connection) -> Principal:
        if connection.principal is None:
            raise Failure(Kind.UNAUTHENTICATED, _FIRST)
        if not connection.principal.holds_at(self.clock.now()):
            raise Failure(Kind.UNAUTHENTICATED, TOKEN_EXPIRED)
        return connection.principal

    async def _tell(self, connection: Connection, failure: Failure) -> None:
        word = failure.code or KYROS.words[failure.kind][1]
        await self._say(connection, "error", {"code": word, "message": failure.message})

    async def _say(self, connection: Connection, kind: str, data: Mapping[str, Any]) -> None:
        await self.poster.post(connection.id, message(kind, data, self.clock.now()))


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        given = parsed(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Failure(Kind.MALFORMED, "A message must be a JSON object with a 'type'")
    return given
