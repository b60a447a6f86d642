"""Who follows the platform's log, and who may tell them: the fake and the table alike."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.sockets.following import store
from quintet.sockets.following.model import REMEMBERED, Follower
from quintet.store.ids import new_id
from tests.fakes.sockets import FakeFollowers
from tests.loops import on_a_loop

NOW = datetime.now(UTC).replace(microsecond=0)
SOON, LATER = NOW + timedelta(seconds=30), NOW + timedelta(seconds=31)


@pytest.fixture(params=["fake", "table"])
def followers(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "fake":
        yield FakeFollowers()
    else:
        request.getfixturevalue("quiet_tables")
        yield store


def follower(**changes: Any) -> Follower:
    name = new_id("c", NOW)
    known = Follower(
        connection_id=f"{name}=",
        principal=f"user_{name}",
        account=f"user#{name}",
        permissions=frozenset({"read_tasks"}),
        events=frozenset({"task_progress"}),
        cursor=7,
        tasks=frozenset({"task_1"}),
        named_at=NOW,
        ends_at=LATER,
    )
    return replace(known, **changes)


@on_a_loop
async def test_a_follower_is_found_as_it_was_and_then_is_gone(followers: Any) -> None:
    plain, bare = follower(), follower(tasks=frozenset(), permissions=frozenset(), named_at=None, ends_at=None)
    for each in (plain, bare):
        await followers.put(each, NOW)
        assert await followers.find(each.connection_id) == each
    everyone = await followers.everyone()
    assert plain in everyone
    assert bare in everyone
    assert await followers.remove(plain.connection_id) == plain
    assert await followers.remove(plain.connection_id) is None
    assert await followers.find(plain.connection_id) is None


@on_a_loop
async def test_one_at_a_time_may_tell_until_it_gives_up_or_takes_too_long(followers: Any) -> None:
    known = follower()
    await followers.put(known, NOW)
    at = known.connection_id
    assert await followers.claim(at, "one", NOW, SOON) == known
    assert await followers.claim(at, "two", SOON, LATER) is None
    assert await followers.reserve(at, "two", SOON, LATER) is None
    await followers.put(known, NOW)  # changes nothing of it
    assert await followers.claim(at, "two", SOON, LATER) is None
    await followers.advance(at, "one", 9)
    assert await followers.claim(at, "two", NOW, SOON) == replace(known, cursor=9)
    await followers.release(at, "two")
    assert await followers.claim(at, "three", NOW, SOON) == replace(known, cursor=9)
    assert await followers.claim(at, "four", LATER, LATER + timedelta(seconds=30)) is not None


@on_a_loop
async def test_whoever_lost_the_right_to_tell_notes_nothing_and_takes_it_from_nobody(followers: Any) -> None:
    known = follower()
    await followers.put(known, NOW)
    at = known.connection_id
    await followers.claim(at, "slow", NOW, SOON)
    await followers.claim(at, "next", LATER, LATER + timedelta(seconds=30))
    await followers.advance(at, "slow", 8)
    await followers.release(at, "slow")
    assert await followers.find(at) == known
    assert await followers.claim(at, "third", LATER, LATER + timedelta(seconds=30)) is None


@on_a_loop
async def test_a_connection_that_follows_nothing_yet_is_held_and_told_nothing(followers: Any) -> None:
    known = follower()
    at = known.connection_id
    assert await followers.claim(at, "teller", NOW, SOON) is None
    reserved = await followers.reserve(at, "holder", NOW, SOON)
    assert reserved.follower is None
    assert await followers.reserve(at, "other", NOW, SOON) is None
    assert await followers.find(at) is None
    assert at not in {each.connection_id for each in await followers.everyone()}
    await followers.put(known, NOW)
    assert await followers.claim(at, "teller", NOW, SOON) is None
    await followers.release(at, "holder")
    assert await followers.claim(at, "teller", NOW, SOON) == known
    await followers.reserve(follower().connection_id, "holder", NOW, SOON)
    assert await followers.remove(at) == known
    await followers.advance(at, "teller", 8)
    assert await followers.find(at) is None


@on_a_loop
async def test_each_place_in_the_log_is_taken_once_the_oldest_first(followers: Any) -> None:
    known = follower()
    for name, cursor in (("b", 9), ("a", 8)):
        await followers.leave_place(replace(known, connection_id=name, cursor=cursor), NOW)
    assert await followers.take_place(known.ticket, NOW) == 8
    await followers.leave_place(replace(known, connection_id="c", cursor=3), NOW)
    assert await followers.take_place(known.ticket, NOW + REMEMBERED + timedelta(seconds=1)) is None
