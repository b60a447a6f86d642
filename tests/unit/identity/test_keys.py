"""Issuing, rotating and revoking keys, over a fake table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.identity.credentials import digest, is_key
from quintet.identity.keys import Keys
from quintet.store.ids import new_id
from quintet.store.transactions import Write
from tests.fakes.identity import FakeKeys, FakeTables

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


class Told:
    """Announcements as they were made."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, Any, str]] = []

    def __call__(self, what: str, subject: str, data: Any, actor: str) -> Write:
        self.all.append((what, subject, dict(data), actor))
        return lambda _transaction: None


@pytest.fixture
def tables() -> FakeTables:
    return FakeTables()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def keys(tables: FakeTables, told: Told) -> Keys:
    return Keys(FakeKeys(tables), "prod", told)


def test_the_secret_is_in_the_answer_and_its_digest_in_the_table(keys: Keys, tables: FakeTables) -> None:
    issued = keys.issue("ci", "team", roles=["viewer"], scopes=["infer"], actor="root", now=NOW)
    assert is_key(issued.secret)
    assert issued.secret.startswith("qk_prod_")
    assert issued.secret.endswith(issued.key.hint)
    assert tables.secrets == {digest(issued.secret): issued.key}
    assert issued.secret not in repr(issued) + repr(tables.secrets)


def test_no_two_secrets_are_alike(keys: Keys) -> None:
    assert len({keys.issue("ci", "team", actor="root", now=NOW).secret for _ in range(20)}) == 20


def test_an_owner_who_is_no_user_is_refused(keys: Keys) -> None:
    with pytest.raises(Failure, match="owner") as failure:
        keys.issue("ci", new_id("user", NOW), actor="root", now=NOW)
    assert failure.value.kind is Kind.INVALID


def test_a_rotation_keeps_all_but_the_secret(keys: Keys, tables: FakeTables) -> None:
    old = keys.issue("ci", "team", roles=["viewer"], actor="root", now=NOW)
    new = keys.rotate(old.key.id, timedelta(hours=1), actor="root", now=NOW)
    assert new.secret != old.secret
    assert (new.key.id, new.key.roles, new.key.expires_at) == (old.key.id, ("viewer",), None)
    assert tables.secrets[old.key.digest].expires_at == NOW + timedelta(hours=1)
    assert new.previous_ends_at == NOW + timedelta(hours=1)


def test_a_rotation_prolongs_nothing(keys: Keys, tables: FakeTables) -> None:
    end = NOW + timedelta(minutes=5)
    old = keys.issue("ci", "team", expires_at=end, actor="root", now=NOW)
    new = keys.rotate(old.key.id, timedelta(hours=1), actor="root", now=NOW)
    assert tables.secrets[old.key.digest].expires_at == new.previous_ends_at == new.key.expires_at == end


def test_a_key_that_has_ended_is_not_rotated(keys: Keys) -> None:
    revoked = keys.issue("ci", "team", actor="root", now=NOW).key.id
    keys.revoke(revoked, actor="root", now=NOW)
    expired = keys.issue("ci", "team", expires_at=NOW, actor="root", now=NOW).key.id
    for key_id in (revoked, expired):
        with pytest.raises(Failure) as failure:
            keys.rotate(key_id, timedelta(), actor="root", now=NOW)
        assert failure.value.kind is Kind.CONFLICT


def test_revoking_twice_changes_nothing(keys: Keys, told: Told) -> None:
    issued = keys.issue("ci", "team", actor="root", now=NOW)
    first = keys.revoke(issued.key.id, actor="root", now=NOW)
    assert keys.revoke(issued.key.id, actor="root", now=NOW + timedelta(days=1)) == first
    assert [each[0] for each in told.all] == ["key.created", "key.revoked"]


def test_all_keys_of_an_owner_are_revoked_however_many(keys: Keys, tables: FakeTables) -> None:
    for owner in ["team"] * 120 + ["others"]:
        keys.issue("ci", owner, actor="root", now=NOW)
    keys.revoke_all_of("team", actor="root", now=NOW)
    assert {key.owner for key in tables.secrets.values() if key.revoked_at is None} == {"others"}


def test_an_unknown_key_is_not_found(keys: Keys) -> None:
    for attempt in (
        lambda: keys.get("key_x"),
        lambda: keys.rotate("key_x", timedelta(), actor="root", now=NOW),
        lambda: keys.revoke("key_x", actor="root", now=NOW),
    ):
        with pytest.raises(Failure) as failure:
            attempt()
        assert failure.value.kind is Kind.NOT_FOUND


def test_who_comes_second_is_told(keys: Keys, tables: FakeTables, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = keys.issue("ci", "team", actor="root", now=NOW)
    read = keys.store.find(issued.key.id)
    keys.rotate(issued.key.id, timedelta(hours=1), actor="root", now=NOW)
    monkeypatch.setattr(FakeKeys, "find", lambda _self, _id: read)
    with pytest.raises(Failure, match="same moment") as failure:
        keys.revoke(issued.key.id, actor="root", now=NOW)
    assert failure.value.kind is Kind.CONFLICT


def test_every_change_is_told_with_it_and_without_the_secret(keys: Keys, told: Told, tables: FakeTables) -> None:
    issued = keys.issue("ci", "team", roles=["viewer"], actor="root", now=NOW)
    rotated = keys.rotate(issued.key.id, timedelta(hours=1), actor="ann", now=NOW)
    keys.revoke(issued.key.id, actor="bob", now=NOW)
    key_id = issued.key.id
    assert told.all == [
        ("key.created", key_id, {"name": "ci", "owner": "team", "roles": ["viewer"], "scopes": []}, "root"),
        ("key.rotated", key_id, {"old_secret_ends_at": "2026-11-20T11:30:00Z"}, "ann"),
        ("key.revoked", key_id, {"name": "ci"}, "bob"),
    ]
    assert len(tables.told) == 3
    assert not any(secret in repr(told.all) for secret in (issued.secret, rotated.secret))
