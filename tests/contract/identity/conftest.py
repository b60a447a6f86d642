"""Each test runs twice: over the fakes, and over the tables in the emulator."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from quintet.identity.door import Registry
from quintet.identity.keys import KeyStore
from quintet.identity.logins import Attempts, SessionStore
from quintet.identity.model import ApiKey, User
from quintet.identity.oauth.signing_in import FlowStore
from quintet.identity.store import flows, keys, registry, sessions, users
from quintet.identity.users import UserStore
from quintet.store.ids import new_id
from tests.fakes import identity as fakes

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


class FullRegistry(Registry, Attempts, Protocol):
    pass


@dataclass(frozen=True)
class Stores:
    registry: FullRegistry
    keys: KeyStore
    users: UserStore
    sessions: SessionStore
    flows: FlowStore

    def key(self, owner: str = "ci", name: str = "a key", at: datetime = NOW) -> ApiKey:
        """A stored one."""
        key = ApiKey(new_id("key", at), secrets.token_hex(32), "abcd", name, owner, at, ("viewer",), ("tasks",))
        self.keys.add(key)
        return key

    def user(self, at: datetime = NOW) -> User:
        """A stored one, with names that no other test has."""
        word = secrets.token_hex(8)
        user = User(
            new_id("user", at),
            f"{word}@example.test",
            at,
            name="Ada",
            username=word,
            roles=("developer",),
            password_hash="hash",
            links=(f"link#{word}",),
        )
        self.users.add(user)
        return user


@pytest.fixture(params=["fakes", "tables"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "tables":
        request.getfixturevalue("function_environment")
        return Stores(registry, keys, users, sessions, flows)
    tables = fakes.FakeTables()
    return Stores(
        fakes.FakeRegistry(tables),
        fakes.FakeKeys(tables),
        fakes.FakeUsers(tables),
        fakes.FakeSessions(tables),
        fakes.FakeFlows(tables),
    )


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def later() -> datetime:
    return NOW + timedelta(seconds=10)
