"""Logging in with a password, and staying logged in: a session is a family of tokens that grows by refreshing."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from quintet.errors import Failure, Kind
from quintet.http.work import offload
from quintet.identity.announcing import Announce, silently
from quintet.identity.credentials import refused
from quintet.identity.limits import Limit, Tally
from quintet.identity.model import Session, User, login_of
from quintet.identity.passwords import Passwords
from quintet.identity.terms import Terms
from quintet.identity.tokens import Claims, Use, keyring
from quintet.identity.users import UserStore
from quintet.store.ids import new_id
from quintet.store.transactions import Unmet, Write

_WRONG = "Wrong username or password"
_DISABLED = "This user has been disabled"
_ENDED = "This session has ended: log in again"
_IDLE = "This session was idle for too long: log in again"
_REPLAYED = "This refresh token was used before, so its session has been ended: log in again"
_ATTEMPTS = 3


class SessionStore(Protocol):
    """`store.sessions` over the table."""

    def get(self, session_id: str, /) -> Session | None: ...

    def add(self, session: Session, /) -> None: ...

    def rotate(self, session: Session, token_id: str, at: datetime, /) -> bool: ...

    def end(self, session: Session, user: User, at: datetime, /, *also: Write) -> None: ...


class Attempts(Protocol):
    """The two of `store.registry` that count passwords."""

    async def count(self, account: str, rev: int | None, limit: Limit, now: datetime, /) -> Tally: ...

    async def reset(self, account: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or a refresh hands out."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int  # seconds


Seen = Callable[[str], datetime | None]
"""When a request was last made for this account."""


def _never(_account: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Logins:
    users: UserStore
    sessions: SessionStore
    attempts: Attempts
    passwords: Passwords
    terms: Terms
    announce: Announce = silently
    seen: Seen = _never

    async def log_in(self, name: str, password: str, now: datetime) -> Grant:
        """An attempt is counted before the password is looked at, so that many at once are no way around the lock.

        Names that nobody has are counted and locked like all others: a lock does not tell that there is a user.
        """
        account = f"login#{hashlib.sha256(login_of(name).encode()).hexdigest()}"
        tally = await self.attempts.count(account, None, self.terms.logins, now)
        if not tally.admitted:
            raise self._locked(tally, now)
        user = await offload(self._verified, name, password)
        if user is None:
            raise refused(_WRONG) if tally.remaining else self._locked(tally, now)
        await self.attempts.reset(account)
        return await offload(self.begin, user, now)

    def begin(self, user: User, now: datetime) -> Grant:
        """A new session for a user who has shown who it is."""
        if user.disabled:
            raise refused(_DISABLED)
        session = Session(new_id("ses", now), user.id, new_id("tok", now), now, now + self.terms.session)
        self.sessions.add(session)
        self.users.note_login(user.id, now)
        return self._grant(user, session, now)

    def refresh(self, token: str, now: datetime) -> Grant:
        """Every refresh token works once. One that comes back was stolen, or lost: nobody can tell, so all end."""
        claims = keyring().read(token, Use.REFRESH)
        session = self.sessions.get(claims.session_id) if claims.session_id else None
        user = self.users.get(claims.subject)
        if session is None or user is None or not session.holds_for(user, now):
            raise refused(_ENDED)
        if now - self._last_used(session, user) > self.terms.idle:
            raise refused(_IDLE)
        token_id = new_id("tok", now)
        if session.token_id != claims.token_id or not self.sessions.rotate(session, token_id, now):
            self._end(session.id, now)
            raise refused(_REPLAYED)
        return self._grant(user, replace(session, token_id=token_id), now)

    def _last_used(self, session: Session, user: User) -> datetime:
        moments = (session.began_at, session.used_at, self.seen(user.account))
        return max(moment for moment in moments if moment is not None)

    def _verified(self, name: str, password: str) -> User | None:
        user = self.users.by_name(login_of(name))
        matches = self.passwords.match(user.password_hash if user else None, password)
        return user if matches else None

    def _end(self, session_id: str, now: datetime) -> None:
        """Once, however many come with what was used before."""
        told = {"session_id": session_id}
        for _ in range(_ATTEMPTS):
            session = self.sessions.get(session_id)
            user = self.users.get(session.user_id) if session else None
            if session is None or user is None or session.ended_at is not None:
                return
            try:
                self.sessions.end(session, user, now, self.announce("session.replayed", user.id, told, user.id))
            except Unmet:
                continue
            return
        raise Failure(Kind.UNAVAILABLE, "This user is being changed: try again", retry_after=1)

    def _grant(self, user: User, session: Session, now: datetime) -> Grant:
        keys = keyring()
        until = min(now + self.terms.access, session.expires_at)
        access = Claims(user.id, until, session_id=session.id, roles=user.roles)
        refresh = Claims(user.id, session.expires_at, Use.REFRESH, session.token_id, session.id)
        return Grant(user, keys.sign(access, now), keys.sign(refresh, now), round((until - now).total_seconds()))

    def _locked(self, tally: Tally, now: datetime) -> Failure:
        left = tally.resets_at - now
        minutes = max(1, -(-left // timedelta(minutes=1)))
        return Failure(
            Kind.LOCKED,
            f"Too many wrong passwords: this account is locked, try again in {minutes} minute{'s' * (minutes > 1)}",
            code="ACCOUNT_LOCKED",
            retry_after=left.total_seconds(),
        )
