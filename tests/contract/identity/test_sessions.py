"""The sessions table, and what it tells the door."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from quintet.identity.model import Session, User
from quintet.identity.store.registry import Stale
from quintet.store.ids import new_id
from quintet.store.transactions import Unmet
from tests.contract.identity.conftest import NOW, Stores
from tests.loops import on_a_loop


def begun(stores: Stores, user: User, now: datetime) -> Session:
    session = Session(new_id("ses", now), user.id, new_id("tok", now), now, now + timedelta(days=30))
    stores.sessions.add(session)
    return session


@on_a_loop
async def test_what_was_begun_is_found_with_its_user(stores: Stores, now: datetime) -> None:
    user = stores.user()
    session = begun(stores, user, now)
    assert stores.sessions.get(session.id) == session
    assert await stores.registry.session(user.id, session.id) == (user, session)


@on_a_loop
async def test_a_session_or_a_user_alone_is_nobody(stores: Stores, now: datetime) -> None:
    user = stores.user()
    session = begun(stores, user, now)
    assert stores.sessions.get("ses_none") is None
    assert await stores.registry.session(user.id, "ses_none") is None
    assert await stores.registry.session("user_none", session.id) is None


def test_a_refresh_token_is_replaced_once(stores: Stores, now: datetime) -> None:
    session = begun(stores, stores.user(), now)
    assert stores.sessions.rotate(session, "tok_2", now)
    assert not stores.sessions.rotate(session, "tok_3", now)
    assert stores.sessions.get(session.id) == replace(session, token_id="tok_2", used_at=now)


def test_of_many_refreshes_at_once_one_wins(stores: Stores, now: datetime) -> None:
    session = begun(stores, stores.user(), now)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: stores.sessions.rotate(session, f"tok_{n}", now), range(8)))
    assert won.count(True) == 1


@on_a_loop
async def test_an_ended_session_is_not_refreshed_and_its_user_read_again(
    stores: Stores, now: datetime, later: datetime
) -> None:
    user = stores.user()
    session = begun(stores, user, now)
    stores.sessions.end(session, user, later)
    assert not stores.sessions.rotate(session, "tok_2", now)
    ended = replace(session, ended_at=later)
    assert await stores.registry.session(user.id, session.id) == (replace(user, rev=1), ended)
    with pytest.raises(Stale) as stale:
        await stores.registry.confirm(user.account, 0, NOW)
    assert not stale.value.closed
    await stores.registry.confirm(user.account, 1, NOW)


def test_a_session_ends_once(stores: Stores, now: datetime, later: datetime) -> None:
    user = stores.user()
    session = begun(stores, user, now)
    stores.sessions.end(session, user, now)
    with pytest.raises(Unmet):
        stores.sessions.end(session, replace(user, rev=1), later)


def test_a_session_does_not_end_with_a_user_who_has_changed_since(stores: Stores, now: datetime) -> None:
    user = stores.user()
    session = begun(stores, user, now)
    stores.users.change(user, replace(user, name="Grace", rev=1))
    with pytest.raises(Unmet):
        stores.sessions.end(session, user, now)
    assert stores.sessions.get(session.id) == session
