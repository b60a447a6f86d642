"""Accounts: windows that never let one too many in, and the last word on who may come in at all."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from quintet.identity.limits import Limit, Tally
from quintet.identity.store.registry import Stale
from quintet.store.ids import new_id
from tests.contract.identity.conftest import Stores
from tests.loops import on_a_loop

LIMIT = Limit("policy", 3, 60)
LOGIN = Limit("login", 3, 900, renewed=True)


@pytest.fixture
def account(now: datetime) -> str:
    return f"user#{new_id('test', now)}"


@on_a_loop
async def test_counts_down_to_the_limit_and_no_further(stores: Stores, account: str, now: datetime) -> None:
    end = now + timedelta(seconds=60)
    tallies = [await stores.registry.count(account, None, LIMIT, now + timedelta(seconds=n)) for n in range(5)]
    assert tallies == [Tally(True, 2, end), Tally(True, 1, end), Tally(True, 0, end), *[Tally(False, 0, end)] * 2]


@on_a_loop
async def test_the_window_begins_with_its_first_request(stores: Stores, account: str, now: datetime) -> None:
    for _ in range(3):
        await stores.registry.count(account, None, LIMIT, now)
    just_before, just_after = (now + timedelta(seconds=60, milliseconds=n) for n in (-1, 0))
    assert not (await stores.registry.count(account, None, LIMIT, just_before)).admitted
    assert await stores.registry.count(account, None, LIMIT, just_after) == Tally(
        True, 2, just_after + timedelta(seconds=60)
    )


@on_a_loop
async def test_a_renewed_window_ends_after_its_last_request(stores: Stores, account: str, now: datetime) -> None:
    late = now + timedelta(seconds=800)
    await stores.registry.count(account, None, LOGIN, now)
    await stores.registry.count(account, None, LOGIN, late)
    assert await stores.registry.count(account, None, LOGIN, late) == Tally(True, 0, late + timedelta(seconds=900))
    assert await stores.registry.count(account, None, LOGIN, now + timedelta(seconds=1000)) == Tally(
        False, 0, late + timedelta(seconds=900)
    )


@on_a_loop
async def test_groups_and_accounts_do_not_share_windows(stores: Stores, account: str, now: datetime) -> None:
    for _ in range(3):
        await stores.registry.count(account, None, LIMIT, now)
    assert (await stores.registry.count(account, None, Limit("ask", 3, 60), now)).remaining == 2
    assert (await stores.registry.count(account + "x", None, LIMIT, now)).remaining == 2


@on_a_loop
async def test_a_reset_account_begins_anew(stores: Stores, account: str, now: datetime) -> None:
    for _ in range(3):
        await stores.registry.count(account, None, LOGIN, now)
    await stores.registry.reset(account)
    assert (await stores.registry.count(account, None, LOGIN, now)).remaining == 2


@on_a_loop
async def test_many_at_once_are_admitted_exactly_to_the_limit(stores: Stores, account: str, now: datetime) -> None:
    limit = Limit("policy", 25, 60)
    tallies = await asyncio.gather(*(stores.registry.count(account, None, limit, now) for _ in range(60)))
    assert sorted(tally.remaining for tally in tallies if tally.admitted) == list(range(25))


@on_a_loop
async def test_many_at_once_open_one_window_when_the_last_is_over(stores: Stores, account: str, now: datetime) -> None:
    limit = Limit("policy", 10, 60)
    await stores.registry.count(account, None, limit, now - timedelta(seconds=61))
    tallies = await asyncio.gather(*(stores.registry.count(account, None, limit, now) for _ in range(30)))
    assert sorted(tally.remaining for tally in tallies if tally.admitted) == list(range(10))


@on_a_loop
async def test_a_closed_account_counts_nothing(stores: Stores, now: datetime) -> None:
    user = stores.user()
    await stores.registry.count(user.account, 0, LIMIT, now)
    stores.users.remove(user)
    for rev in (0, None):
        with pytest.raises(Stale) as stale:
            await stores.registry.count(user.account, rev, LIMIT, now)
        assert stale.value.closed


@on_a_loop
async def test_an_account_counts_nothing_for_another_revision(stores: Stores, now: datetime, later: datetime) -> None:
    key = stores.key()
    stores.keys.rotate(replace(key, expires_at=later), replace(key, digest="x" + key.digest[1:], rev=1))
    with pytest.raises(Stale) as stale:
        await stores.registry.count(key.account, 0, LIMIT, now)
    assert not stale.value.closed
    assert (await stores.registry.count(key.account, 1, LIMIT, later)).remaining == 2
