"""Users: create, change, give a new password, end their sessions, remove."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.identity.announcing import Announce, silently
from quintet.identity.keys import Keys
from quintet.identity.model import Taken, User
from quintet.identity.passwords import Passwords, acceptable
from quintet.store.ids import new_id
from quintet.store.pages import Page, Paging
from quintet.store.transactions import Unmet, Write


class UserStore(Protocol):
    """`store.users` over the table."""

    def get(self, user_id: str, /) -> User | None: ...

    def by_name(self, name: str, /) -> User | None: ...

    def add(self, user: User, /, *also: Write) -> None: ...

    def change(self, before: User, after: User, /, *also: Write) -> None: ...

    def remove(self, user: User, /, *also: Write) -> None: ...

    def note_login(self, user_id: str, at: datetime, /) -> None: ...

    def page(self, paging: Paging, /) -> Page[User]: ...


@dataclass(frozen=True, slots=True)
class Users:
    store: UserStore
    keys: Keys
    passwords: Passwords
    announce: Announce = silently

    def get(self, user_id: str) -> User:
        user = self.store.get(user_id)
        if user is None:
            raise Failure(Kind.NOT_FOUND, f"There is no user '{user_id}'")
        return user

    def create(
        self,
        email: str,
        password: str,
        *,
        username: str | None = None,
        name: str | None = None,
        roles: Sequence[str] = (),
        actor: str,
        now: datetime,
    ) -> User:
        user = User(
            id=new_id("user", now),
            email=email,
            created_at=now,
            name=name,
            username=username,
            roles=tuple(roles),
            password_hash=self.passwords.hash(acceptable(password)),
        )
        with _outcomes():
            self.store.add(user, self.announce("user.created", user.id, {"roles": list(roles)}, actor))
        return user

    def change(self, user_id: str, changes: Mapping[str, Any], *, actor: str, now: datetime) -> User:
        """`changes` are fields of a user. Who is disabled loses sessions at once, and API keys for good."""
        before = self.get(user_id)
        after = replace(before, **changes, rev=before.rev + 1)
        if user_id == actor and (after.disabled or not set(before.roles) <= set(after.roles)):
            raise Failure(Kind.REJECTED, "You cannot disable yourself or take a role from yourself")
        if after.disabled:
            after = replace(after, sessions_from=now)
        with _outcomes():
            self.store.change(before, after, self.announce("user.changed", user_id, {"fields": sorted(changes)}, actor))
        if after.disabled:
            self.keys.revoke_all_of(user_id, actor=actor, now=now)
        return after

    def set_password(self, user_id: str, password: str, *, actor: str, now: datetime) -> User:
        """Ends the user's sessions: whoever had the old password may have one."""
        before = self.get(user_id)
        hashed = self.passwords.hash(acceptable(password))
        after = replace(before, password_hash=hashed, sessions_from=now, rev=before.rev + 1)
        with _outcomes():
            self.store.change(before, after, self.announce("user.password_set", user_id, {}, actor))
        return after

    def end_sessions(self, user_id: str, *, actor: str, now: datetime) -> User:
        before = self.get(user_id)
        after = replace(before, sessions_from=now, rev=before.rev + 1)
        with _outcomes():
            self.store.change(before, after, self.announce("user.sessions_ended", user_id, {}, actor))
        return after

    def remove(self, user_id: str, *, actor: str, now: datetime) -> None:
        if user_id == actor:
            raise Failure(Kind.REJECTED, "You cannot remove yourself")
        user = self.get(user_id)
        self.keys.revoke_all_of(user_id, actor=actor, now=now)
        with _outcomes():
            self.store.remove(user, self.announce("user.removed", user_id, {}, actor))


@contextmanager
def _outcomes() -> Iterator[None]:
    try:
        yield
    except Taken:
        raise Failure(Kind.CONFLICT, "This e-mail address or username belongs to another user") from None
    except Unmet:
        raise Failure(Kind.CONFLICT, "Somebody else changed this user at the same moment: look again") from None
