"""Open connections in memory, and the way back to them: what was posted lies here to be read."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from quintet.errors import Failure
from quintet.identity.model import Principal
from quintet.sockets.following.model import REMEMBERED, Follower, Reserved
from quintet.sockets.model import LONGEST, MAX_MESSAGE, Changed, Connection, Gone, check_attributes, too_large


@dataclass
class FakeConnections:
    rows: dict[str, Connection] = field(default_factory=dict)
    lines: dict[str, dict[str, datetime]] = field(default_factory=dict)

    async def open(self, connection: Connection) -> None:
        self.rows[connection.id] = connection
        self.lines[connection.id] = {}

    async def find(self, connection_id: str) -> Connection | None:
        return self.rows.get(connection_id)

    async def save(self, connection: Connection) -> Connection:
        check_attributes(connection)
        if connection.id not in self.rows:
            raise Gone
        if self.rows[connection.id].rev != connection.rev:
            raise Changed
        saved = replace(self.rows[connection.id], attributes=dict(connection.attributes), rev=connection.rev + 1)
        self.rows[connection.id] = saved
        return saved

    async def name(self, connection_id: str, principal: Principal) -> None:
        if connection_id not in self.rows:
            raise Gone
        self.rows[connection_id] = replace(self.rows[connection_id], principal=principal)

    async def remove(self, connection_id: str) -> None:
        self.rows.pop(connection_id, None)
        self.lines.pop(connection_id, None)

    async def live(self, now: datetime) -> int:
        return sum(row.connected_at > now - LONGEST for row in self.rows.values())

    async def line_up(self, connection_id: str, ticket: str, until: datetime) -> Mapping[str, datetime]:
        if connection_id not in self.rows:
            raise Gone
        self.lines[connection_id][ticket] = until
        return dict(self.lines[connection_id])

    async def line(self, connection_id: str) -> Mapping[str, datetime]:
        if connection_id not in self.rows:
            raise Gone
        return dict(self.lines[connection_id])

    async def leave_line(self, connection_id: str, ticket: str) -> None:
        self.lines.get(connection_id, {}).pop(ticket, None)


async def _at_once(_connection_id: str) -> None:
    pass


@dataclass
class FakePoster:
    """`gone` are the connections whose clients have left, `refusing` those that take nothing, and why; `posted` is in
    the order of the posts. `under_way` is what happens while one is."""

    posted: list[tuple[str, str | bytes]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    refusing: dict[str, Failure] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)  # set by every post
    under_way: Callable[[str], Awaitable[None]] = field(default=_at_once)

    async def post(self, connection_id: str, payload: str | bytes) -> None:
        await self.under_way(connection_id)
        if connection_id in self.gone:
            raise Gone
        if connection_id in self.refusing:
            raise self.refusing[connection_id]
        if len(payload.encode() if isinstance(payload, str) else payload) > MAX_MESSAGE:
            raise too_large()
        self.posted.append((connection_id, payload))
        self.news.set()

    async def close(self, connection_id: str) -> None:
        self.gone.add(connection_id)
        self.closed.append(connection_id)

    def told(self, connection_id: str) -> list[Any]:
        """The JSON that this connection's client was sent."""
        return [json.loads(payload) for to, payload in self.posted if to == connection_id]


@dataclass
class FakeFollowers:
    rows: dict[str, Follower] = field(default_factory=dict)
    claims: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    places: dict[str, list[tuple[int, datetime]]] = field(default_factory=dict)

    async def put(self, follower: Follower, now: datetime) -> None:
        self.rows[follower.connection_id] = follower

    async def find(self, connection_id: str) -> Follower | None:
        return self.rows.get(connection_id)

    async def everyone(self) -> list[Follower]:
        return [*self.rows.values()]

    async def claim(self, connection_id: str, by: str, now: datetime, until: datetime) -> Follower | None:
        follows = connection_id in self.rows and self._hold(connection_id, by, now, until)
        return self.rows[connection_id] if follows else None

    async def reserve(self, connection_id: str, by: str, now: datetime, until: datetime) -> Reserved | None:
        return Reserved(self.rows.get(connection_id)) if self._hold(connection_id, by, now, until) else None

    async def advance(self, connection_id: str, by: str, cursor: int) -> None:
        if self._let_go(connection_id, by):
            self.rows[connection_id] = replace(self.rows[connection_id], cursor=cursor)

    async def release(self, connection_id: str, by: str) -> None:
        self._let_go(connection_id, by)

    async def remove(self, connection_id: str) -> Follower | None:
        self.claims.pop(connection_id, None)
        return self.rows.pop(connection_id, None)

    async def leave_place(self, follower: Follower, now: datetime) -> None:
        self.places.setdefault(follower.ticket, []).append((follower.cursor, now + REMEMBERED))

    async def take_place(self, ticket: str, now: datetime) -> int | None:
        for place in sorted(self.places.pop(ticket, [])):
            if place[1] >= now:
                return place[0]
        return None

    def _hold(self, connection_id: str, by: str, now: datetime, until: datetime) -> bool:
        if connection_id in self.claims and self.claims[connection_id][1] >= now:
            return False
        self.claims[connection_id] = (by, until)
        return True

    def _let_go(self, connection_id: str, by: str) -> bool:
        if self.claims.get(connection_id, ("",))[0] != by:
            return False
        del self.claims[connection_id]
        return True
