"""Users as an administrator changes them, over fake tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.identity.keys import Keys
from quintet.identity.model import User, login_of
from quintet.identity.passwords import Passwords
from quintet.identity.users import Users
from quintet.store.ids import new_id
from tests.fakes.identity import FakeKeys, FakeTables, FakeUsers
from tests.unit.identity.test_keys import Told

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PASSWORDS = Passwords(memory_kib=8, passes=1)


@pytest.fixture
def tables() -> FakeTables:
    return FakeTables()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def users(tables: FakeTables, told: Told) -> Users:
    return Users(FakeUsers(tables), Keys(FakeKeys(tables), "local", told), PASSWORDS, told)


@pytest.fixture
def ada(users: Users) -> User:
    return users.create("ada@example.test", "correct horse", username="ada", roles=["viewer"], actor="root", now=NOW)


def test_a_user_is_found_by_address_and_name_and_its_password_is_kept_hashed(
    users: Users, ada: User, tables: FakeTables
) -> None:
    assert users.store.by_name(login_of("Ada@Example.test")) == users.store.by_name(login_of("ADA")) == ada
    assert PASSWORDS.match(ada.password_hash, "correct horse")
    assert "correct horse" not in repr(tables.users)
    assert str(ada.password_hash) not in repr(ada)


@pytest.mark.parametrize("password", ["short", "x" * 257])
def test_a_password_has_its_bounds(users: Users, password: str) -> None:
    with pytest.raises(Failure, match="8 to 256 characters") as failure:
        users.create("ada@example.test", password, actor="root", now=NOW)
    assert failure.value.kind is Kind.INVALID


def test_a_name_that_is_taken_is_refused(users: Users, ada: User) -> None:
    with pytest.raises(Failure, match="belongs to another user") as failure:
        users.create("ADA@example.test", "correct horse", actor="root", now=NOW)
    assert failure.value.kind is Kind.CONFLICT


def test_who_is_disabled_loses_sessions_and_keys(users: Users, ada: User, tables: FakeTables) -> None:
    issued = users.keys.issue("ci", ada.id, actor="root", now=NOW)
    disabled = users.change(ada.id, {"disabled": True}, actor="root", now=LATER)
    assert (disabled.disabled, disabled.sessions_from) == (True, LATER)
    assert tables.account(ada.account).closed
    assert tables.secrets[issued.key.digest].revoked_at == LATER


def test_who_is_enabled_again_may_come_in(users: Users, ada: User, tables: FakeTables) -> None:
    users.change(ada.id, {"disabled": True}, actor="root", now=NOW)
    users.change(ada.id, {"disabled": False}, actor="root", now=NOW)
    assert not tables.account(ada.account).closed


@pytest.mark.parametrize("changes", [{"disabled": True}, {"roles": ()}, {"roles": ("developer",)}])
def test_nobody_locks_themselves_out(users: Users, ada: User, changes: dict[str, Any]) -> None:
    with pytest.raises(Failure, match="yourself") as failure:
        users.change(ada.id, changes, actor=ada.id, now=NOW)
    assert failure.value.kind is Kind.REJECTED
    with pytest.raises(Failure, match="yourself"):
        users.remove(ada.id, actor=ada.id, now=NOW)


def test_one_may_change_ones_own_name(users: Users, ada: User) -> None:
    assert users.change(ada.id, {"name": "Ada L."}, actor=ada.id, now=NOW).name == "Ada L."


def test_a_new_password_ends_sessions(users: Users, ada: User) -> None:
    changed = users.set_password(ada.id, "battery staple", actor="root", now=LATER)
    assert changed.sessions_from == LATER
    assert PASSWORDS.match(changed.password_hash, "battery staple")


def test_sessions_end_when_told(users: Users, ada: User) -> None:
    assert users.end_sessions(ada.id, actor="root", now=LATER).sessions_from == LATER


def test_who_is_removed_is_gone_with_their_keys(users: Users, ada: User, tables: FakeTables) -> None:
    issued = users.keys.issue("ci", ada.id, actor="root", now=NOW)
    users.remove(ada.id, actor="root", now=LATER)
    assert users.store.get(ada.id) is None
    assert tables.names == {}
    assert tables.account(ada.account).closed
    assert tables.secrets[issued.key.digest].revoked_at == LATER


def test_nobody_unknown_is_changed(users: Users) -> None:
    nobody = new_id("user", NOW)
    for attempt in (
        lambda: users.get(nobody),
        lambda: users.change(nobody, {}, actor="root", now=NOW),
        lambda: users.set_password(nobody, "correct horse", actor="root", now=NOW),
        lambda: users.end_sessions(nobody, actor="root", now=NOW),
        lambda: users.remove(nobody, actor="root", now=NOW),
    ):
        with pytest.raises(Failure) as failure:
            attempt()
        assert failure.value.kind is Kind.NOT_FOUND


def test_every_change_is_told_without_a_password(users: Users, ada: User, told: Told) -> None:
    users.change(ada.id, {"name": "Ada L.", "roles": ("admin",)}, actor="root", now=NOW)
    users.set_password(ada.id, "battery staple", actor="root", now=NOW)
    users.end_sessions(ada.id, actor="root", now=NOW)
    users.remove(ada.id, actor="root", now=NOW)
    assert told.all == [
        ("user.created", ada.id, {"roles": ["viewer"]}, "root"),
        ("user.changed", ada.id, {"fields": ["name", "roles"]}, "root"),
        ("user.password_set", ada.id, {}, "root"),
        ("user.sessions_ended", ada.id, {}, "root"),
        ("user.removed", ada.id, {}, "root"),
    ]


class TestAPassword:
    def test_matches_itself_alone(self) -> None:
        hashed = PASSWORDS.hash("correct horse")
        assert PASSWORDS.match(hashed, "correct horse")
        assert not PASSWORDS.match(hashed, "correct horsf")

    def test_matches_nothing_where_there_is_none(self) -> None:
        assert not PASSWORDS.match(None, "")
        assert not PASSWORDS.match(None, "correct horse")

    def test_matches_nothing_where_the_hash_is_broken(self) -> None:
        assert not PASSWORDS.match("$argon2id$nonsense", "correct horse")

    def test_is_hashed_with_argon2id_at_the_recommended_cost(self) -> None:
        assert Passwords().hash("correct horse").startswith("$argon2id$v=19$m=19456,t=2,p=1$")

    def test_of_a_stranger_takes_the_same_work(self) -> None:
        """The work is in the parameters: what strangers are compared with has the same ones."""
        from argon2 import extract_parameters

        passwords = Passwords()
        nobodys = passwords._nobodys
        assert extract_parameters(nobodys) == extract_parameters(passwords.hash("correct horse"))
