"""The keys table, and what it tells the door."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from quintet.identity.model import ApiKey, User
from quintet.identity.store.registry import Stale
from quintet.store.ids import new_id
from quintet.store.pages import Paging
from quintet.store.transactions import Unmet
from tests.contract.identity.conftest import NOW, Stores
from tests.loops import on_a_loop


def rotated(key: ApiKey, until: datetime) -> tuple[ApiKey, ApiKey]:
    return replace(key, expires_at=until), replace(key, digest=key.digest[::-1], hint="wxyz", rev=key.rev + 1)


def revoked(key: ApiKey, at: datetime) -> ApiKey:
    return replace(key, revoked_at=at, rev=key.rev + 1)


@on_a_loop
async def test_what_was_added_is_found_by_id_and_by_digest(stores: Stores) -> None:
    key = stores.key()
    assert stores.keys.find(key.id) == key
    assert await stores.registry.key(key.digest) == key


@on_a_loop
async def test_every_field_survives(stores: Stores, now: datetime) -> None:
    key = replace(stores.key(), id=new_id("key", now), digest=f"{now.timestamp()}", expires_at=now + timedelta(days=1))
    stores.keys.add(key)
    assert stores.keys.find(key.id) == key
    assert await stores.registry.key(key.digest) == key


@on_a_loop
async def test_nothing_is_found_of_a_key_that_is_not_there(stores: Stores) -> None:
    assert stores.keys.find("key_nobody") is None
    assert await stores.registry.key("0" * 64) is None


def test_a_user_who_is_not_there_owns_nothing(stores: Stores, now: datetime) -> None:
    with pytest.raises(Unmet):
        stores.key(owner=new_id("user", now))


def test_a_disabled_user_gets_no_key(stores: Stores) -> None:
    user = stores.user()
    stores.users.change(user, replace(user, disabled=True, rev=1))
    with pytest.raises(Unmet):
        stores.key(owner=user.id)


def test_a_user_owns_keys(stores: Stores) -> None:
    user: User = stores.user()
    key = stores.key(owner=user.id)
    assert [each.id for each in stores.keys.page(Paging(), user.id).items] == [key.id]


@on_a_loop
async def test_a_rotated_key_has_two_secrets(stores: Stores, later: datetime) -> None:
    key = stores.key()
    old, new = rotated(key, later)
    stores.keys.rotate(old, new)
    assert stores.keys.find(key.id) == new
    assert await stores.registry.key(new.digest) == new
    assert await stores.registry.key(old.digest) == replace(old, rev=1)


@on_a_loop
async def test_a_second_rotation_ends_the_first_secret_at_once(stores: Stores, later: datetime) -> None:
    first = stores.key()
    old, second = rotated(first, later)
    stores.keys.rotate(old, second)
    old, third = replace(second, expires_at=later), replace(second, digest="x" + second.digest[1:], rev=2)
    stores.keys.rotate(old, third)
    assert await stores.registry.key(first.digest) is None
    assert await stores.registry.key(second.digest) is not None


@on_a_loop
async def test_the_account_wants_the_newest_revision(stores: Stores, later: datetime) -> None:
    key = stores.key()
    await stores.registry.confirm(key.account, 0, NOW)
    stores.keys.rotate(*rotated(key, later))
    await stores.registry.confirm(key.account, 1, NOW)
    with pytest.raises(Stale) as stale:
        await stores.registry.confirm(key.account, 0, NOW)
    assert not stale.value.closed


@on_a_loop
async def test_a_revoked_key_closes_its_account(stores: Stores, later: datetime) -> None:
    key = stores.key()
    stores.keys.revoke(key, revoked(key, later))
    assert stores.keys.find(key.id) == revoked(key, later)
    for rev in (0, 1, None):
        with pytest.raises(Stale) as stale:
            await stores.registry.confirm(key.account, rev, NOW)
        assert stale.value.closed


@pytest.mark.parametrize("second", ["rotate", "revoke"])
@pytest.mark.parametrize("first", ["rotate", "revoke"])
def test_of_two_changes_to_what_was_read_once_the_second_fails(
    stores: Stores, later: datetime, first: str, second: str
) -> None:
    key = stores.key()

    def change(how: str, digest: str) -> None:
        if how == "revoke":
            stores.keys.revoke(key, revoked(key, later))
        else:
            stores.keys.rotate(replace(key, expires_at=later), replace(key, digest=digest + key.digest[1:], rev=1))

    change(first, "x")
    with pytest.raises(Unmet):
        change(second, "y")


def test_lists_newest_first_page_by_page(stores: Stores, now: datetime) -> None:
    owner = new_id("team", now)
    keys = [stores.key(owner, f"key {n}", now + timedelta(minutes=n)) for n in range(5)]
    newest = [key.id for key in reversed(keys)]
    first = stores.keys.page(Paging(limit=2), owner)
    second = stores.keys.page(Paging(limit=2, after=first.after), owner)
    third = stores.keys.page(Paging(limit=2, after=second.after), owner)
    assert [[key.id for key in page.items] for page in (first, second, third)] == [newest[:2], newest[2:4], newest[4:]]
    assert third.after is None


def test_counts_an_offset_from_the_newest(stores: Stores, now: datetime) -> None:
    owner = new_id("team", now)
    keys = [stores.key(owner, at=now + timedelta(minutes=n)) for n in range(4)]
    page = stores.keys.page(Paging(limit=2, offset=1), owner)
    assert [key.id for key in page.items] == [keys[2].id, keys[1].id]
    assert page.after == keys[1].id


def test_lists_a_rotated_key_once(stores: Stores, now: datetime, later: datetime) -> None:
    owner = new_id("team", now)
    key = stores.key(owner)
    old, new = rotated(key, later)
    stores.keys.rotate(old, new)
    assert list(stores.keys.page(Paging(), owner).items) == [new]


def test_the_list_of_all_has_every_owner(stores: Stores) -> None:
    """Other tests share the table: these two are the newest of theirs, not of all."""
    ids = {stores.key("one").id, stores.key("two").id}
    found: set[str] = set()
    after = None
    while True:
        page = stores.keys.page(Paging(after=after))
        found |= {key.id for key in page.items}
        after = page.after
        if after is None:
            break
    assert ids <= found
