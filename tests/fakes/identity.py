"""What identity keeps, in memory: one state, seen through the ports of its stores."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from quintet.identity.limits import Limit, Tally
from quintet.identity.model import ApiKey, Session, Taken, User, is_user_id
from quintet.identity.oauth.model import Flow
from quintet.identity.store.registry import Stale
from quintet.store.pages import Page, Paging
from quintet.store.transactions import Unmet, Write

T = TypeVar("T")


@dataclass
class Account:
    rev: int | None = None
    closed: bool = False
    windows: dict[str, tuple[int, datetime]] = field(default_factory=dict)


class FakeTables:
    """`told` are the writes that came along with changes: what a real store puts into the same transaction."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.secrets: dict[str, ApiKey] = {}
        self.heads: dict[str, list[str]] = {}  # the digests of a key's secrets, the current one first
        self.users: dict[str, User] = {}
        self.names: dict[str, str] = {}
        self.sessions: dict[str, Session] = {}
        self.flows: dict[str, Flow] = {}
        self.told: list[Write] = []
        self.reads = 0
        self.writes = 0

    def account(self, name: str) -> Account:
        return self.accounts.setdefault(name, Account())

    def revise(self, account: str, rev: int, *, closed: bool = False) -> None:
        found = self.account(account)
        found.rev, found.closed = rev, closed


class FakeRegistry:
    def __init__(self, tables: FakeTables) -> None:
        self._tables = tables

    async def key(self, digest: str) -> ApiKey | None:
        self._tables.reads += 1
        return self._tables.secrets.get(digest)

    async def session(self, user_id: str, session_id: str) -> tuple[User, Session] | None:
        self._tables.reads += 1
        user, session = self._tables.users.get(user_id), self._tables.sessions.get(session_id)
        return (user, session) if user and session else None

    async def confirm(self, account: str, rev: int | None, now: datetime) -> None:
        self._tables.writes += 1
        self._check(self._tables.account(account), rev)

    async def count(self, account: str, rev: int | None, limit: Limit, now: datetime) -> Tally:
        self._tables.writes += 1
        found = self._tables.account(account)
        self._check(found, rev)
        number, end = found.windows.get(limit.group, (0, now))
        new_end = now + timedelta(seconds=limit.seconds)
        if end <= now:
            number, end = 0, new_end
        if number >= limit.most:
            return Tally(False, 0, end)
        found.windows[limit.group] = (number + 1, new_end if limit.renewed else end)
        return Tally(True, limit.most - number - 1, found.windows[limit.group][1])

    async def reset(self, account: str) -> None:
        self._tables.accounts.pop(account, None)

    def _check(self, account: Account, rev: int | None) -> None:
        if account.closed:
            raise Stale(closed=True)
        if rev is not None and account.rev is not None and account.rev != rev:
            raise Stale(closed=False)


class FakeKeys:
    def __init__(self, tables: FakeTables) -> None:
        self._tables = tables

    def find(self, key_id: str) -> ApiKey | None:
        digests = self._tables.heads.get(key_id)
        return self._tables.secrets[digests[0]] if digests else None

    def add(self, key: ApiKey, *also: Write) -> None:
        if is_user_id(key.owner):
            owner = self._tables.users.get(key.owner)
            if owner is None or owner.disabled:
                raise Unmet(0)
        self._tables.secrets[key.digest] = key
        self._tables.heads[key.id] = [key.digest]
        self._tables.told += also

    def rotate(self, before: ApiKey, after: ApiKey, *also: Write) -> None:
        self._unchanged(before)
        for older in self._tables.heads[before.id][1:]:
            del self._tables.secrets[older]
        self._tables.heads[before.id] = [after.digest, before.digest]
        self._tables.secrets[before.digest] = replace(before, rev=after.rev)
        self._tables.secrets[after.digest] = after
        self._tables.revise(after.account, after.rev)
        self._tables.told += also

    def revoke(self, before: ApiKey, after: ApiKey, *also: Write) -> None:
        self._unchanged(before)
        self._tables.secrets[after.digest] = after
        self._tables.revise(after.account, after.rev, closed=True)
        self._tables.told += also

    def page(self, paging: Paging, owner: str | None = None) -> Page[ApiKey]:
        keys = [self._tables.secrets[digests[0]] for digests in self._tables.heads.values()]
        return _page([key for key in keys if owner in {None, key.owner}], lambda key: key.id, paging)

    def _unchanged(self, key: ApiKey) -> None:
        known = self._tables.secrets[key.digest]
        if known.rev != key.rev or known.revoked_at is not None:
            raise Unmet(0)


class FakeUsers:
    def __init__(self, tables: FakeTables) -> None:
        self._tables = tables

    def get(self, user_id: str) -> User | None:
        return self._tables.users.get(user_id)

    def by_name(self, name: str) -> User | None:
        return self._tables.users.get(self._tables.names.get(name, ""))

    def add(self, user: User, *also: Write) -> None:
        if user.names & self._tables.names.keys():
            raise Taken
        self._tables.users[user.id] = user
        self._tables.names.update(dict.fromkeys(user.names, user.id))
        self._tables.told += also

    def change(self, before: User, after: User, *also: Write) -> None:
        self._unchanged(before)
        if (after.names - before.names) & self._tables.names.keys():
            raise Taken
        for name in before.names:
            del self._tables.names[name]
        self._tables.names.update(dict.fromkeys(after.names, after.id))
        self._tables.users[after.id] = replace(after, last_login=self._tables.users[after.id].last_login)
        self._tables.revise(after.account, after.rev, closed=after.disabled)
        self._tables.told += also

    def remove(self, user: User, *also: Write) -> None:
        self._unchanged(user)
        del self._tables.users[user.id]
        for name in user.names:
            del self._tables.names[name]
        self._tables.revise(user.account, user.rev + 1, closed=True)
        self._tables.told += also

    def note_login(self, user_id: str, at: datetime) -> None:
        self._tables.users[user_id] = replace(self._tables.users[user_id], last_login=at)

    def page(self, paging: Paging) -> Page[User]:
        return _page(list(self._tables.users.values()), lambda user: user.id, paging)

    def _unchanged(self, user: User) -> None:
        known = self._tables.users.get(user.id)
        if known is None or known.rev != user.rev:
            raise Unmet(0)


class FakeSessions:
    def __init__(self, tables: FakeTables) -> None:
        self._tables = tables

    def get(self, session_id: str) -> Session | None:
        return self._tables.sessions.get(session_id)

    def add(self, session: Session) -> None:
        self._tables.sessions[session.id] = session

    def rotate(self, session: Session, token_id: str, at: datetime) -> bool:
        known = self._tables.sessions[session.id]
        if known.token_id != session.token_id or known.ended_at is not None:
            return False
        self._tables.sessions[session.id] = replace(known, token_id=token_id, used_at=at)
        return True

    def end(self, session: Session, user: User, at: datetime, *also: Write) -> None:
        known = self._tables.users.get(user.id)
        if known is None or known.rev != user.rev or self._tables.sessions[session.id].ended_at is not None:
            raise Unmet(0)
        self._tables.sessions[session.id] = replace(self._tables.sessions[session.id], ended_at=at)
        self._tables.users[user.id] = replace(known, rev=user.rev + 1)
        self._tables.revise(user.account, user.rev + 1)
        self._tables.told += also


class FakeFlows:
    def __init__(self, tables: FakeTables) -> None:
        self._tables = tables

    def add(self, flow: Flow) -> None:
        self._tables.flows[flow.id] = flow

    def take(self, flow_id: str) -> Flow | None:
        return self._tables.flows.pop(flow_id, None)


def _page(items: list[T], id_of: Callable[[T], str], paging: Paging) -> Page[T]:
    after = paging.after
    found = sorted((item for item in items if after is None or id_of(item) < after), key=id_of, reverse=True)
    found = found[paging.offset :]
    more = len(found) > paging.limit
    return Page(found[: paging.limit], id_of(found[paging.limit - 1]) if more else None)
