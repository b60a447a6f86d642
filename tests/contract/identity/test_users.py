"""The users table, and what it tells the door."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from quintet.identity.model import Taken, User, login_of
from quintet.identity.store.registry import Stale
from quintet.store.ids import new_id
from quintet.store.pages import Paging
from quintet.store.transactions import Unmet
from tests.contract.identity.conftest import NOW, Stores
from tests.loops import on_a_loop


def test_what_was_added_is_found_by_id_and_by_every_name(stores: Stores) -> None:
    user = stores.user()
    assert user.email
    assert user.username
    assert stores.users.get(user.id) == user
    for name in (login_of(user.email), login_of(user.username), user.links[0]):
        assert stores.users.by_name(name) == user


def test_every_field_survives(stores: Stores, now: datetime, later: datetime) -> None:
    user = replace(
        stores.user(), id=new_id("user", now), email=None, username=None, links=(), sessions_from=later, last_login=now
    )
    stores.users.add(user)
    assert stores.users.get(user.id) == user


def test_nobody_is_found_who_is_not_there(stores: Stores) -> None:
    assert stores.users.get("user_nobody") is None
    assert stores.users.by_name("login#nobody") is None


@pytest.mark.parametrize("name", ["email", "username", "links"])
def test_a_name_belongs_to_one_user(stores: Stores, now: datetime, name: str) -> None:
    user = stores.user()
    other_id = new_id("user", now)
    other = User(other_id, f"{other_id}@example.test", now, username=other_id, password_hash="hash")
    other = replace(other, **{name: getattr(user, name)})
    with pytest.raises(Taken):
        stores.users.add(other)
    assert stores.users.get(other.id) is None


def test_an_address_without_a_password_is_no_name(stores: Stores, now: datetime) -> None:
    user = stores.user()
    namesake = User(new_id("user", now), user.email, now, links=(f"link#{new_id('link', now)}",))
    stores.users.add(namesake)
    assert user.email
    assert stores.users.by_name(login_of(user.email)) == user


def test_a_change_moves_names(stores: Stores) -> None:
    user = stores.user()
    changed = replace(user, username=f"new-{user.username}", name=None, rev=1)
    stores.users.change(user, changed)
    assert stores.users.get(user.id) == changed
    assert stores.users.by_name(login_of(str(changed.username))) == changed
    assert stores.users.by_name(login_of(str(user.username))) is None


def test_a_change_takes_no_name_from_others(stores: Stores) -> None:
    one, other = stores.user(), stores.user()
    with pytest.raises(Taken):
        stores.users.change(one, replace(one, username=other.username, rev=1))
    assert stores.users.get(one.id) == one


def test_of_two_changes_to_what_was_read_once_the_second_fails(stores: Stores) -> None:
    user = stores.user()
    stores.users.change(user, replace(user, name="First", rev=1))
    with pytest.raises(Unmet):
        stores.users.change(user, replace(user, name="Second", rev=1))
    with pytest.raises(Unmet):
        stores.users.remove(user)


def test_a_login_is_noted_and_outlives_a_change(stores: Stores, later: datetime) -> None:
    user = stores.user()
    stores.users.note_login(user.id, later)
    stores.users.change(user, replace(user, name="Grace", rev=1))
    assert stores.users.get(user.id) == replace(user, name="Grace", rev=1, last_login=later)


@on_a_loop
async def test_disabling_closes_the_account_and_enabling_opens_it(stores: Stores) -> None:
    user = stores.user()
    disabled = replace(user, disabled=True, rev=1)
    stores.users.change(user, disabled)
    with pytest.raises(Stale) as stale:
        await stores.registry.confirm(user.account, 1, NOW)
    assert stale.value.closed
    stores.users.change(disabled, replace(disabled, disabled=False, rev=2))
    await stores.registry.confirm(user.account, 2, NOW)
    with pytest.raises(Stale):
        await stores.registry.confirm(user.account, 0, NOW)


@on_a_loop
async def test_nothing_is_left_of_who_was_removed_but_a_closed_account(stores: Stores) -> None:
    user = stores.user()
    stores.users.remove(user)
    assert stores.users.get(user.id) is None
    assert all(stores.users.by_name(name) is None for name in user.names)
    with pytest.raises(Stale):
        await stores.registry.confirm(user.account, None, NOW)


def test_the_names_of_who_was_removed_are_free(stores: Stores, now: datetime) -> None:
    user = stores.user()
    stores.users.remove(user)
    heir = replace(user, id=new_id("user", now))
    stores.users.add(heir)
    assert stores.users.by_name(login_of(str(user.username))) == heir


def test_lists_newest_first_page_by_page(stores: Stores) -> None:
    """Other tests share the table: these users are made to be the newest."""
    future = datetime.fromisoformat("2100-01-01T00:00:00+00:00")
    users = [stores.user(future + timedelta(minutes=n)) for n in range(3)]
    first = stores.users.page(Paging(limit=2))
    second = stores.users.page(Paging(limit=1, after=first.after))
    assert [user.id for user in (*first.items, *second.items)] == [user.id for user in reversed(users)]
    for user in users:
        stores.users.remove(user)
