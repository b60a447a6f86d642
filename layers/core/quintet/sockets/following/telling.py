"""Tells followers what they have not been told yet, in the log's order, one teller at a time for each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import NoReturn, Protocol

from quintet.errors import Failure, Kind
from quintet.events.model import Entry, Head
from quintet.events.platform import PLATFORM
from quintet.events.store import Reading
from quintet.http.work import offload
from quintet.identity.credentials import TOKEN_EXPIRED
from quintet.identity.standing import Standing
from quintet.sockets.following.model import Follower, Reserved, abridged, concerns, message, told
from quintet.sockets.model import Gone, Poster
from quintet.store.clock import Clock
from quintet.store.ids import new_id

_CLAIM = timedelta(seconds=30)
_STRETCH = timedelta(seconds=10)  # after it a claim is given up and taken anew: none may run out under a post
_WAIT = 0.05  # seconds between two looks whether another teller is done
_PAGE = 100
_TOGETHER = 32


class Log(Protocol):
    """`events.store`."""

    def head(self, topic: str, /) -> Head: ...

    def read(self, topic: str, after: int, limit: int, /) -> Reading: ...


class Followers(Protocol):
    """`following.store` over the table."""

    async def everyone(self) -> list[Follower]: ...

    async def claim(self, connection_id: str, by: str, now: datetime, until: datetime, /) -> Follower | None: ...

    async def reserve(self, connection_id: str, by: str, now: datetime, until: datetime, /) -> Reserved | None: ...

    async def find(self, connection_id: str, /) -> Follower | None: ...

    async def advance(self, connection_id: str, by: str, cursor: int, /) -> None: ...

    async def release(self, connection_id: str, by: str, /) -> None: ...

    async def remove(self, connection_id: str, /) -> Follower | None: ...

    async def leave_place(self, follower: Follower, now: datetime, /) -> None: ...


class Telling:
    def __init__(self, followers: Followers, log: Log, poster: Poster, standing: Standing, clock: Clock) -> None:
        self._followers = followers
        self._log = log
        self._poster = poster
        self._standing = standing
        self._clock = clock

    async def pass_on(self, entries: Sequence[Entry]) -> int:
        """To everybody who follows. Answers to how many."""
        if not entries:
            return 0
        entries = sorted(entries, key=lambda entry: entry.seq)  # a stream tells a transaction's items in any order
        places = asyncio.Semaphore(_TOGETHER)
        last = entries[-1].seq

        async def one(follower: Follower) -> None:
            async with places:
                await self.catch_up(follower.connection_id, last, entries)

        behind = [follower for follower in await self._followers.everyone() if follower.cursor < last]
        outcomes = await asyncio.gather(*(one(follower) for follower in behind), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):  # after everybody else has been told
                raise outcome
        return len(behind)

    async def catch_up(self, connection_id: str, goal: int, known: Sequence[Entry] = ()) -> None:
        """Returns when this follower has been told all up to the entry `goal`, by us or by another, or is gone.

        What was posted and not yet noted is posted again after a crash: numbers tell the reader.
        """
        by = new_id("teller", self._clock.now())
        while (follower := await self._claimed(connection_id, by, goal)) is not None:
            reached = await self._tell(follower, by, known)
            if reached is None or reached >= goal or reached == follower.cursor:
                return
            await asyncio.sleep(1.5 * _WAIT)  # whoever waits for it, with a new subscription say, looks in between

    async def _tell(self, follower: Follower, by: str, known: Sequence[Entry]) -> int | None:
        """A stretch of the log: up to which entry. None: it is gone."""
        connection_id, cursor, began = follower.connection_id, follower.cursor, self._clock.now()
        try:
            if not follower.holds_at(began):
                await self._shown_out(connection_id)
            page = await self._page(follower, cursor, known)
            permissions = await self._standing.permissions(follower.account, follower.permissions, follower.named_at)
            for entry in page:
                if concerns(follower, entry, permissions):
                    await self._post(connection_id, entry)
                cursor = entry.seq
                if self._clock.now() - began > _STRETCH:
                    break
        except Gone:
            await self.lost(connection_id, cursor)
            return None
        except Failure as failure:
            if failure.kind is not Kind.UPSTREAM:  # nobody can be told just now: the stream comes again
                await self._followers.advance(connection_id, by, cursor)
                raise
            # This one alone takes nothing. It would hold up all others: it may come back and go on from here.
            await self._poster.close(connection_id)
            await self.lost(connection_id, cursor)
            return None
        await self._followers.advance(connection_id, by, cursor)
        return cursor

    @asynccontextmanager
    async def reserved(self, connection_id: str) -> AsyncIterator[Follower | None]:
        """Nobody tells this connection anything meanwhile: what it follows may be changed. None: it follows nothing."""
        by = new_id("holder", self._clock.now())
        while True:
            now = self._clock.now()
            reserved = await self._followers.reserve(connection_id, by, now, now + _CLAIM)
            if reserved is not None:
                break
            await asyncio.sleep(_WAIT)
        try:
            yield reserved.follower
        except BaseException:
            if await self._followers.find(connection_id) is None:
                await self._followers.remove(connection_id)  # what was to follow, and does not
            raise
        finally:
            await self._followers.release(connection_id, by)

    async def _shown_out(self, connection_id: str) -> NoReturn:
        told = {"code": "UNAUTHORIZED", "message": TOKEN_EXPIRED}
        await self._poster.post(connection_id, message("error", told, self._clock.now()))
        await self._poster.close(connection_id)
        raise Gone

    async def _post(self, connection_id: str, entry: Entry) -> None:
        try:
            await self._poster.post(connection_id, told(entry))
        except Failure as failure:
            if failure.kind is not Kind.TOO_LARGE:
                raise
            await self._poster.post(connection_id, abridged(entry))

    async def lost(self, connection_id: str, cursor: int | None = None) -> None:
        """Its place in the log is kept for a while: whoever comes back and asks for the same goes on from there."""
        follower = await self._followers.remove(connection_id)
        if follower is not None:
            place = follower.cursor if cursor is None else cursor
            kept = Follower(**{name: getattr(follower, name) for name in Follower.__slots__} | {"cursor": place})
            await self._followers.leave_place(kept, self._clock.now())

    async def _claimed(self, connection_id: str, by: str, goal: int) -> Follower | None:
        while True:
            now = self._clock.now()
            follower = await self._followers.claim(connection_id, by, now, now + _CLAIM)
            if follower is not None:
                if follower.cursor < goal:
                    return follower
                await self._followers.release(connection_id, by)
                return None
            there = await self._followers.find(connection_id)
            if there is None or there.cursor >= goal:
                return None
            await asyncio.sleep(_WAIT)

    async def _page(self, follower: Follower, cursor: int, known: Sequence[Entry]) -> Sequence[Entry]:
        """Those that we were given, if they are the next ones; else from the log."""
        after = [entry for entry in known if entry.seq > cursor]
        if after and after[0].seq == cursor + 1 and after[-1].seq - cursor == len(after):
            return after
        reading = await offload(self._log.read, PLATFORM, cursor, _PAGE)
        if reading.lost:
            await self._poster.post(follower.connection_id, gap(cursor, reading, self._clock.now()))
        return reading.entries


def gap(since: int, reading: Reading, now: datetime) -> str:
    """What is between is gone: older than the log keeps, or never was."""
    oldest = reading.entries[0].seq if reading.entries else reading.head + 1
    return message("discontinuity", {"since": since, "oldest": oldest, "head": reading.head}, now)
