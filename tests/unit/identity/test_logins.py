"""Logging in and staying logged in, over fake tables and a cheap argon2."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from quintet.configuration import live
from quintet.configuration.model import SYSTEM, Document
from quintet.errors import Failure, Kind
from quintet.identity.limits import Limit
from quintet.identity.logins import Grant, Logins
from quintet.identity.model import User
from quintet.identity.passwords import Passwords
from quintet.identity.terms import Terms, terms
from quintet.identity.tokens import Use, keyring
from quintet.store.clock import SystemClock
from quintet.store.ids import new_id
from tests.fakes.identity import FakeRegistry, FakeSessions, FakeTables, FakeUsers
from tests.loops import on_a_loop
from tests.unit.identity.conftest import Configure
from tests.unit.identity.test_keys import Told

NOW = SystemClock().now().replace(microsecond=0)
PASSWORD = "correct horse"
TERMS = Terms(
    access=timedelta(hours=1),
    session=timedelta(days=30),
    idle=timedelta(minutes=30),
    longest=timedelta(days=7),
    logins=Limit("login", 3, 900, renewed=True),
    new_roles=("viewer",),
)


class CountedPasswords(Passwords):
    """Notes what it was asked to compare: the work that a caller could measure."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, passes=1)
        self.compared = 0

    def match(self, hashed: str | None, password: str) -> bool:
        self.compared += 1
        return super().match(hashed, password)


@dataclass
class Desk:
    tables: FakeTables
    logins: Logins
    told: Told
    passwords: CountedPasswords
    ada: User

    async def refused(self, name: str, password: str, at: datetime = NOW) -> Failure:
        with pytest.raises(Failure) as failure:
            await self.logins.log_in(name, password, at)
        return failure.value

    def refused_refresh(self, token: str, at: datetime = NOW) -> str:
        with pytest.raises(Failure) as failure:
            self.logins.refresh(token, at)
        assert failure.value.kind is Kind.UNAUTHENTICATED
        return failure.value.message


@pytest.fixture
def desk(configure: Configure) -> Desk:
    tables, told, passwords = FakeTables(), Told(), CountedPasswords()
    users = FakeUsers(tables)
    ada = User(
        new_id("user", NOW),
        "ada@example.test",
        NOW,
        username="ada",
        roles=("developer",),
        password_hash=passwords.hash(PASSWORD),
    )
    users.add(ada)
    logins = Logins(users, FakeSessions(tables), FakeRegistry(tables), passwords, TERMS, told)
    return Desk(tables, logins, told, passwords, ada)


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.test", " Ada@Example.Test "])
@on_a_loop
async def test_a_name_and_its_password_begin_a_session(desk: Desk, name: str) -> None:
    grant = await desk.logins.log_in(name, PASSWORD, NOW)
    access, refresh = keyring().read(grant.access_token), keyring().read(grant.refresh_token, Use.REFRESH)
    (session,) = desk.tables.sessions.values()
    assert (grant.user.id, grant.expires_in) == (desk.ada.id, 3600)
    assert (access.subject, access.session_id, access.roles) == (desk.ada.id, session.id, ("developer",))
    assert (refresh.session_id, refresh.token_id, refresh.expires_at) == (
        session.id,
        session.token_id,
        NOW + timedelta(days=30),
    )
    assert desk.tables.users[desk.ada.id].last_login == NOW


@on_a_loop
async def test_tokens_are_not_shown(desk: Desk) -> None:
    grant = await desk.logins.log_in("ada", PASSWORD, NOW)
    assert grant.access_token not in repr(grant)
    assert grant.refresh_token not in repr(grant)


@on_a_loop
async def test_strangers_and_wrong_passwords_are_refused_alike_after_the_same_work(desk: Desk) -> None:
    known = await desk.refused("ada", "wrong password")
    unknown = await desk.refused("nobody", "wrong password")
    assert (known.kind, known.message) == (unknown.kind, unknown.message)
    assert known.message == "Wrong username or password"
    assert desk.passwords.compared == 2


@on_a_loop
async def test_who_has_no_password_cannot_log_in_with_one(desk: Desk) -> None:
    desk.tables.users[desk.ada.id] = replace(desk.ada, password_hash=None)
    assert (await desk.refused("ada", PASSWORD)).message == "Wrong username or password"


@on_a_loop
async def test_a_disabled_user_is_told_so_with_the_right_password_alone(desk: Desk) -> None:
    desk.tables.users[desk.ada.id] = replace(desk.ada, disabled=True)
    assert (await desk.refused("ada", "wrong password")).message == "Wrong username or password"
    assert (await desk.refused("ada", PASSWORD)).message == "This user has been disabled"
    assert desk.tables.sessions == {}


@pytest.mark.parametrize("name", ["ada", "nobody"])
@on_a_loop
async def test_the_attempt_that_locks_an_account_says_so_whether_it_exists_or_not(desk: Desk, name: str) -> None:
    failures = [await desk.refused(name, "wrong password") for _ in range(4)]
    assert [failure.kind for failure in failures] == [*[Kind.UNAUTHENTICATED] * 2, *[Kind.LOCKED] * 2]
    assert failures[2].message == "Too many wrong passwords: this account is locked, try again in 15 minutes"
    assert (failures[2].code, failures[2].retry_after) == ("ACCOUNT_LOCKED", 900)


@on_a_loop
async def test_a_locked_account_does_not_open_to_the_right_password(desk: Desk) -> None:
    for _ in range(3):
        await desk.refused("ada", "wrong password")
    compared = desk.passwords.compared
    failure = await desk.refused("ada", PASSWORD, NOW + timedelta(seconds=899))
    assert failure.message.endswith("try again in 1 minute")
    assert desk.passwords.compared == compared


@on_a_loop
async def test_a_lock_ends(desk: Desk) -> None:
    for _ in range(3):
        await desk.refused("ada", "wrong password")
    assert (await desk.logins.log_in("ada", PASSWORD, NOW + timedelta(seconds=900))).user.id == desk.ada.id


@on_a_loop
async def test_all_spellings_of_a_name_are_locked_together(desk: Desk) -> None:
    for name in ("ada", "ADA", " Ada "):
        last = await desk.refused(name, "wrong password")
    assert last.kind is Kind.LOCKED


@on_a_loop
async def test_the_right_password_wipes_the_slate(desk: Desk) -> None:
    for _ in range(3):
        await desk.refused("ada", "wrong password")
        await desk.refused("ada", "wrong password")
        await desk.logins.log_in("ada", PASSWORD, NOW)


@on_a_loop
async def test_guessing_all_at_once_is_no_way_around_the_lock(desk: Desk) -> None:
    await asyncio.gather(*(desk.refused("ada", f"guess {n}") for n in range(12)))
    assert desk.passwords.compared == 3


# ---- refreshing


async def logged_in(desk: Desk) -> Grant:
    return await desk.logins.log_in("ada", PASSWORD, NOW)


@on_a_loop
async def test_a_refresh_hands_out_new_tokens_of_the_same_session(desk: Desk) -> None:
    begin = NOW - timedelta(minutes=2)
    first = await desk.logins.log_in("ada", PASSWORD, begin)
    second = desk.logins.refresh(first.refresh_token, NOW - timedelta(minutes=1))
    third = desk.logins.refresh(second.refresh_token, NOW)
    sessions = {keyring().read(grant.access_token).session_id for grant in (first, second, third)}
    assert len(sessions) == 1
    assert len({grant.refresh_token for grant in (first, second, third)}) == 3
    ends = {keyring().read(grant.refresh_token, Use.REFRESH).expires_at for grant in (first, second, third)}
    assert ends == {begin + timedelta(days=30)}


@on_a_loop
async def test_a_replayed_refresh_token_ends_the_family(desk: Desk) -> None:
    first = await logged_in(desk)
    second = desk.logins.refresh(first.refresh_token, NOW)
    assert "used before" in desk.refused_refresh(first.refresh_token)
    assert desk.refused_refresh(second.refresh_token) == "This session has ended: log in again"
    (session,) = desk.tables.sessions.values()
    assert desk.told.all == [("session.replayed", desk.ada.id, {"session_id": session.id}, desk.ada.id)]
    assert desk.tables.account(desk.ada.account).rev == desk.tables.users[desk.ada.id].rev == 1


@on_a_loop
async def test_a_replay_leaves_other_sessions_alone(desk: Desk) -> None:
    first, other = await logged_in(desk), await logged_in(desk)
    desk.logins.refresh(first.refresh_token, NOW)
    desk.refused_refresh(first.refresh_token)
    assert desk.logins.refresh(other.refresh_token, NOW)


@on_a_loop
async def test_who_loses_a_race_ends_the_family(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await logged_in(desk)
    session = desk.logins.sessions.get(str(keyring().read(first.access_token).session_id))
    assert session is not None
    desk.logins.refresh(first.refresh_token, NOW)
    monkeypatch.setattr(FakeSessions, "get", lambda _self, _id: session)  # as the loser had read it
    assert "used before" in desk.refused_refresh(first.refresh_token)


@on_a_loop
async def test_a_refresh_ends_with_its_session(desk: Desk) -> None:
    desk.logins = replace(desk.logins, terms=replace(TERMS, session=timedelta(minutes=90), idle=timedelta(hours=2)))
    first = await desk.logins.log_in("ada", PASSWORD, NOW - timedelta(minutes=60))
    second = desk.logins.refresh(first.refresh_token, NOW)
    assert second.expires_in == 30 * 60
    assert desk.refused_refresh(second.refresh_token, NOW + timedelta(minutes=30)).startswith("This session has ended")


@pytest.mark.parametrize(
    "change", [{"disabled": True}, {"sessions_from": NOW + timedelta(seconds=1)}], ids=["disabled", "all ended"]
)
@on_a_loop
async def test_nothing_is_refreshed_for_a_user_whose_sessions_are_over(desk: Desk, change: dict[str, object]) -> None:
    first = await logged_in(desk)
    desk.tables.users[desk.ada.id] = replace(desk.tables.users[desk.ada.id], **change)  # type: ignore[arg-type]
    assert desk.refused_refresh(first.refresh_token) == "This session has ended: log in again"


@on_a_loop
async def test_only_refresh_tokens_refresh(desk: Desk) -> None:
    grant = await logged_in(desk)
    for token in (grant.access_token, "nonsense", grant.refresh_token[:-2]):
        assert desk.refused_refresh(token) == "Invalid authentication token"


@on_a_loop
async def test_a_refresh_brings_the_users_newest_roles(desk: Desk) -> None:
    first = await logged_in(desk)
    desk.tables.users[desk.ada.id] = replace(desk.tables.users[desk.ada.id], roles=("viewer",))
    second = desk.logins.refresh(first.refresh_token, NOW)
    assert keyring().read(second.access_token).roles == second.user.roles == ("viewer",)


@pytest.fixture
def said() -> Iterator[Callable[..., None]]:
    """`said(security={...})`: what an operator has configured."""

    def say(**values: object) -> None:
        live.keep(Document(SYSTEM, 1, NOW, "ops", values))

    live.keep(Document(SYSTEM))
    yield say
    live.forget()


@on_a_loop
async def test_what_an_operator_configured_goes_before_the_settings(
    configure: Configure, said: Callable[..., None]
) -> None:
    configure(jwt_expiry_minutes=7, max_login_attempts=9)
    said(security={"jwt_expiration_hours": 2, "max_login_attempts": 4, "session_timeout_minutes": 5})
    given = await terms()
    assert (given.access, given.idle, given.logins.most) == (timedelta(hours=2), timedelta(minutes=5), 4)


def test_a_session_that_nobody_used_for_too_long_is_not_refreshed(desk: Desk) -> None:
    began = NOW - timedelta(minutes=80)
    first = desk.logins.begin(desk.ada, began)
    second = desk.logins.refresh(first.refresh_token, began + timedelta(minutes=20))
    third = desk.logins.refresh(second.refresh_token, began + timedelta(minutes=45))
    assert "idle" in desk.refused_refresh(third.refresh_token, NOW)


def test_a_request_keeps_a_session_awake(desk: Desk) -> None:
    first = desk.logins.begin(desk.ada, NOW)
    awake = replace(desk.logins, seen=lambda account: {desk.ada.account: NOW + timedelta(minutes=50)}.get(account))
    assert awake.refresh(first.refresh_token, NOW + timedelta(minutes=59)).user.id == desk.ada.id


@on_a_loop
async def test_the_terms_are_those_of_the_settings(configure: Configure, said: Callable[..., None]) -> None:
    configure(jwt_expiry_minutes=7, session_days=3, max_login_attempts=9, login_lock_minutes=2)
    given = await terms()
    assert (given.access, given.session, given.new_roles) == (timedelta(minutes=7), timedelta(days=3), ("viewer",))
    assert given.logins == Limit("login", 9, 120, renewed=True)
