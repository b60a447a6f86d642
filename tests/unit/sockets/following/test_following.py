"""Following the platform's log: who is told what, in which order, and from where on."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.errors import Failure, Kind
from quintet.events.model import Entry
from quintet.events.platform import PLATFORM, TYPES, platform_event
from quintet.identity.credentials import Credential
from quintet.identity.model import ROLES, Principal, PrincipalKind, User
from quintet.identity.standing import Standing
from quintet.sockets.following.protocol import Following
from quintet.sockets.following.telling import Telling
from quintet.sockets.model import Connection, Handshake
from quintet.store.ids import new_id
from tests.fakes.events import FakeEventLog
from tests.fakes.sockets import FakeConnections, FakeFollowers, FakePoster
from tests.loops import on_a_loop

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def caller(role: str, name: str = "ada") -> Principal:
    return Principal(name, PrincipalKind.SERVICE, f"ip#{name}", ROLES[role], roles=(role,))


@dataclass
class House:
    now_: datetime = NOW
    connections: FakeConnections = field(default_factory=FakeConnections)
    followers: FakeFollowers = field(default_factory=FakeFollowers)
    poster: FakePoster = field(default_factory=FakePoster)
    log: FakeEventLog = field(default_factory=FakeEventLog)
    callers: dict[str, Principal] = field(default_factory=lambda: {role: caller(role) for role in ROLES})
    curfews: list[str] = field(default_factory=list)
    users: dict[str, User] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.now_

    @property
    def telling(self) -> Telling:
        standing = Standing(lambda _key: None, self.users.get, self)
        return Telling(self.followers, self.log, self.poster, standing, self)

    @property
    def following(self) -> Following:
        async def authenticate(_connection: Connection, credential: Credential, _now: datetime) -> Principal:
            if credential.text not in self.callers:
                raise Failure(Kind.UNAUTHENTICATED, "Invalid authentication token")
            return self.callers[credential.text]

        async def curfew(connection_id: str) -> None:
            self.curfews.append(connection_id)

        return Following(
            self.connections, self.followers, self.telling, self.log, self.poster, authenticate, curfew, self
        )

    async def open(self, name: str, principal: Principal | None = None) -> None:
        handshake = Handshake(name, "kyros", {}, {}, "203.0.113.7", NOW, principal)
        accepted = await self.following.connect(handshake)
        await self.connections.open(Connection(name, "kyros", accepted.principal, self.now_))

    async def say(self, name: str, message: Any) -> list[Any]:
        """What it is told from then on."""
        before = len(self.poster.told(name))
        text = message if isinstance(message, str) else json.dumps(message)
        connection = await self.connections.find(name)
        assert connection is not None
        await self.following.message(connection, text)
        return self.poster.told(name)[before:]

    def happen(self, *types: str, **data: Any) -> list[Entry]:
        return self.log.append([platform_event(type, data.get("task_id", "task_1"), data, now=NOW) for type in types])  # noqa: A001

    async def follows(self, name: str, role: str = "developer", **more: Any) -> list[Any]:
        await self.open(name)
        await self.say(name, {"type": "auth", "token": role})
        return await self.say(name, {"type": "subscribe", "events": ["*"], **more})

    def seqs(self, name: str) -> list[int]:
        return [told["seq"] for told in self.poster.told(name) if "seq" in told]


@pytest.fixture
def house() -> House:
    return House()


@on_a_loop
async def test_the_documents_messages_are_answered(house: House) -> None:
    await house.open("a")
    told = await house.say("a", {"type": "auth", "token": "developer"})
    assert [each["type"] for each in told] == ["auth_success", "open"]
    (ack,) = await house.say("a", {"type": "subscribe", "events": ["task_progress", "escalation_status"]})
    assert ack["type"] == "subscribed"
    assert ack["data"]["events"] == ["escalation_status", "task_progress"]
    assert (await house.say("a", {"type": "ping"}))[0]["type"] == "pong"
    progress = {"completed_steps": 3, "total_steps": 5, "percentage": 60}
    data = {"task_id": "task_1", "status": "in_progress", "progress": progress}
    await house.telling.pass_on(house.happen("task.progress", **data))
    told = house.poster.told("a")[-1]
    assert told == {
        "type": "task_progress",
        "data": data,
        "timestamp": "2026-11-20T10:30:00Z",
        "seq": 1,
        "event": "task.progress",
    }
    (ack,) = await house.say("a", {"type": "unsubscribe", "events": ["task_progress"]})
    assert ack["data"]["events"] == ["escalation_status"]
    await house.telling.pass_on(house.happen("task.progress", **data))
    assert house.seqs("a") == [1]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no json", "VALIDATION_ERROR"),
        ("[1]", "VALIDATION_ERROR"),
        ({"type": "dance"}, "VALIDATION_ERROR"),
        ({"type": "auth"}, "VALIDATION_ERROR"),
        ({"type": "auth", "token": "wrong"}, "UNAUTHORIZED"),
        ({"type": "auth", "token": "\ud800"}, "UNAUTHORIZED"),
        ({"type": "subscribe", "events": ["task_progress"]}, "UNAUTHORIZED"),
    ],
)
@on_a_loop
async def test_what_is_wrong_is_said_and_the_connection_stays(house: House, message: Any, code: str) -> None:
    await house.open("a")
    (told,) = await house.say("a", message)
    assert (told["type"], told["data"]["code"]) == ("error", code)
    assert (await house.say("a", {"type": "auth", "token": "viewer"}))[0]["type"] == "auth_success"


@on_a_loop
async def test_whoever_guesses_is_shown_the_door_at_the_third_attempt(house: House) -> None:
    await house.open("a")
    for _ in range(2):
        (told,) = await house.say("a", {"type": "auth", "token": "wrong"})
        assert told["data"]["code"] == "UNAUTHORIZED"
        assert house.poster.closed == []
    (told,) = await house.say("a", {"type": "auth", "token": "wrong"})
    assert told["data"]["code"] == "UNAUTHORIZED"
    assert house.poster.closed == ["a"]


@on_a_loop
async def test_attempts_side_by_side_count_one_by_one(house: House) -> None:
    await house.open("a")
    read = await house.connections.find("a")
    assert read is not None
    guess = json.dumps({"type": "auth", "token": "wrong"})
    for _ in range(3):  # each knows the connection as it was before all of them
        await house.following.message(read, guess)
    assert house.poster.closed == ["a"]


@pytest.mark.parametrize(
    "more",
    [
        {"events": []},
        {"events": "task_progress"},
        {"events": ["nonsense"]},
        {"since": -1},
        {"since": "7"},
        {"since": True},
        {"task_ids": "task_1"},
        {"task_ids": [7]},
    ],
)
@on_a_loop
async def test_a_subscription_that_makes_no_sense_is_refused(house: House, more: dict[str, Any]) -> None:
    (told,) = await house.follows("a", **more)
    assert told["data"]["code"] == "VALIDATION_ERROR"
    assert house.followers.rows == {}


@on_a_loop
async def test_whoever_says_nothing_is_shown_the_door(house: House) -> None:
    await house.open("silent")
    await house.open("named", caller("viewer"))
    await house.open("quick")
    await house.say("quick", {"type": "auth", "token": "viewer"})
    assert house.curfews == ["silent", "quick"]
    for connection in house.curfews:
        await house.following.curfew(connection)
    assert house.poster.closed == ["silent"]


@on_a_loop
async def test_resuming_from_a_number_tells_everything_since(house: House) -> None:
    house.happen(*["task.progress"] * 250, task_id="task_1")
    told = await house.follows("a", since=40)
    assert (told[0]["type"], told[0]["data"]["seq"], told[0]["data"]["resumed"]) == ("subscribed", 40, True)
    assert house.seqs("a") == [*range(41, 251)]


@on_a_loop
async def test_what_the_log_no_longer_has_is_a_discontinuity(house: House) -> None:
    house.happen(*["task.progress"] * 10, task_id="task_1")
    house.log.forget(PLATFORM, 6)
    told = await house.follows("a", since=2)
    assert told[0]["type"] == "discontinuity"
    assert told[0]["data"] == {"since": 2, "oldest": 7, "head": 10}
    assert house.seqs("a") == [7, 8, 9, 10]


@on_a_loop
async def test_a_number_that_is_not_yet_there_goes_on_from_what_there_is(house: House) -> None:
    house.happen(*["task.progress"] * 3, task_id="task_1")
    gap, ack = await house.follows("a", since=1000)
    assert (gap["type"], gap["data"]) == ("discontinuity", {"since": 1000, "oldest": 4, "head": 3})
    assert (ack["data"]["seq"], ack["data"]["resumed"]) == (3, False)
    await house.telling.pass_on(house.happen("task.progress", task_id="task_1"))
    assert house.seqs("a") == [4]


@on_a_loop
async def test_who_shows_a_token_is_followed_no_longer_than_it_lasts(house: House) -> None:
    house.callers["viewer"] = replace(caller("viewer"), expires_at=NOW + timedelta(minutes=1))
    await house.follows("a", "viewer")
    house.now_ = NOW + timedelta(seconds=80)
    await house.telling.pass_on(house.happen("task.progress", task_id="task_1"))
    assert house.seqs("a") == [1]
    house.now_ = NOW + timedelta(seconds=91)
    (error,) = await house.say("a", {"type": "subscribe", "events": ["task_progress"]})
    assert error["data"] == {"code": "UNAUTHORIZED", "message": "Token has expired"}
    await house.telling.pass_on(house.happen("task.progress", task_id="task_1"))
    assert (house.seqs("a"), house.poster.closed, house.followers.rows) == ([1], ["a"], {})
    assert house.poster.told("a")[-1]["data"] == {"code": "UNAUTHORIZED", "message": "Token has expired"}
    house.callers["viewer"] = caller("viewer")
    await house.follows("b", "viewer")
    assert house.seqs("b") == [2]


@on_a_loop
async def test_ending_somebodys_sessions_ends_what_they_are_told(house: House) -> None:
    ada = User(new_id("user", NOW), "ada@example.test", NOW, roles=("viewer",))
    house.users[ada.id] = ada
    house.callers["viewer"] = replace(caller("viewer"), id=ada.id, account=ada.account)
    await house.follows("a", "viewer")
    await house.telling.pass_on(house.happen("task.progress", task_id="task_1"))
    house.users[ada.id] = replace(ada, sessions_from=NOW + timedelta(seconds=1))
    house.now_ = NOW + timedelta(seconds=2)
    await house.follows("b", "viewer")
    await house.telling.pass_on(house.happen("task.progress", task_id="task_1"))
    assert (house.seqs("a"), house.seqs("b")) == ([1], [2])


@on_a_loop
async def test_half_a_surrogate_pair_in_a_filter_fits_nothing_and_breaks_nothing(house: House) -> None:
    (ack,) = await house.follows("a", task_id="\ud800")
    assert ack["type"] == "subscribed"
    assert [row.tasks for row in house.followers.rows.values()] == [frozenset({"?"})]


@on_a_loop
async def test_whoever_lost_the_connection_goes_on_from_there(house: House) -> None:
    """The document's sample client subscribes again without saying where it was."""
    await house.follows("a")
    await house.telling.pass_on(house.happen("task.created", "task.started", task_id="task_1"))
    connection = await house.connections.find("a")
    assert connection is not None
    await house.following.disconnect(connection)
    await house.telling.pass_on(house.happen("task.progress", "task.completed", task_id="task_1"))
    house.now_ += timedelta(seconds=31)
    told = await house.follows("b")
    assert told[0]["data"]["resumed"] is True
    assert house.seqs("a") + house.seqs("b") == [1, 2, 3, 4]
    assert (await house.follows("c"))[0]["data"]["resumed"] is False  # a place is taken once
    await house.following.disconnect(replace(connection, id="b"))
    house.now_ += timedelta(minutes=6)
    assert (await house.follows("d"))[0]["data"]["resumed"] is False


@on_a_loop
async def test_a_connection_that_died_leaves_its_place_where_it_died(house: House) -> None:
    await house.follows("a")
    house.poster.gone.add("a")
    await house.telling.pass_on(house.happen("task.created", task_id="task_1"))
    assert house.followers.rows == {}
    await house.follows("b")
    assert house.seqs("b") == [1]


@on_a_loop
async def test_filters_let_through_what_they_name(house: House) -> None:
    await house.follows("a", task_id="task_1")
    await house.follows("b", resource_ids=["esc_7"])
    await house.telling.pass_on(house.happen("task.created", task_id="task_2"))
    await house.telling.pass_on(house.happen("task.created", task_id="task_1"))
    await house.telling.pass_on(house.happen("escalation.approved", task_id="task_3", escalation_id="esc_7"))
    assert (house.seqs("a"), house.seqs("b")) == ([2], [3])


@on_a_loop
async def test_several_tellers_at_once_tell_each_entry_once_and_in_order(house: House) -> None:
    for name in ("a", "b"):
        await house.follows(name)
    batches = [house.happen("task.progress", "task.progress", task_id="task_1") for _ in range(10)]
    await asyncio.gather(*(house.telling.pass_on(batch) for batch in reversed(batches)))
    assert house.seqs("a") == house.seqs("b") == [*range(1, 21)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nobody_is_ever_told_what_they_may_not_read(data: st.DataObject) -> None:
    async def run() -> None:
        house = House()
        roles = data.draw(st.lists(st.sampled_from(sorted(ROLES)), min_size=1, max_size=4))
        for number, role in enumerate(roles):
            subset = data.draw(st.sets(st.sampled_from(sorted(ROLES[role])))) if ROLES[role] else set()
            token = f"caller{number}"
            house.callers[token] = replace(caller(role, token), permissions=frozenset(subset))
            await house.open(token)
            await house.say(token, {"type": "auth", "token": token})
            for kind in ("task_progress", "escalation_status", "system_alerts"):
                await house.say(token, {"type": "subscribe", "events": [kind], "since": 0})
        types = data.draw(st.lists(st.sampled_from(sorted(TYPES)), max_size=12))
        for type in types:  # noqa: A001
            await house.telling.pass_on(house.happen(type, task_id="task_1"))
        for number in range(len(roles)):
            permissions = house.callers[f"caller{number}"].permissions
            told = [each["event"] for each in house.poster.told(f"caller{number}") if "event" in each]
            assert told == [type for type in types if TYPES[type] in permissions]  # noqa: A001

    asyncio.run(run())


@on_a_loop
async def test_one_that_takes_nothing_holds_up_nobody_and_may_go_on_from_where_it_was(house: House) -> None:
    for name in ("a", "b", "c"):
        await house.follows(name)
    house.poster.refusing["b"] = Failure(Kind.UPSTREAM, "The WebSocket API refused a message: HTTP 403")
    await house.telling.pass_on(house.happen("task.created", "task.started"))
    assert house.seqs("a") == house.seqs("c") == [1, 2]
    assert "b" not in {follower.connection_id for follower in await house.followers.everyone()}
    del house.poster.refusing["b"]
    await house.follows("b again")
    assert house.seqs("b again") == [1, 2]


@on_a_loop
async def test_where_nobody_can_be_told_the_stream_comes_again_and_finds_no_claim_in_its_way(house: House) -> None:
    await house.follows("a")
    await house.follows("b")
    house.poster.refusing["a"] = Failure(Kind.UNAVAILABLE, "The WebSocket API could not be reached")
    entries = house.happen("task.created")
    with pytest.raises(Failure, match="reached"):
        await house.telling.pass_on(entries)
    assert house.seqs("b") == [1]
    del house.poster.refusing["a"]
    await house.telling.pass_on(entries)
    assert (house.seqs("a"), house.seqs("b")) == ([1], [1])


@on_a_loop
async def test_what_is_larger_than_a_message_is_told_in_short_and_stops_nobody(house: House) -> None:
    await house.follows("a")
    entries = house.happen("task.completed", task_id="task_1", result={"text": "x" * 200_000}, note="y" * 200)
    await house.telling.pass_on([*entries, *house.happen("task.created")])
    assert house.seqs("a") == [1, 2]
    told = next(each for each in house.poster.told("a") if each.get("seq") == 1)
    assert (told["data"], told["truncated"]) == ({"task_id": "task_1"}, True)


@on_a_loop
async def test_whoever_takes_its_time_is_told_in_order_whatever_happens_meanwhile(house: House) -> None:
    """A claim lasts 30 seconds: what is told for longer is told in stretches."""
    house.happen(*["task.progress"] * 30, task_id="task_1")
    others: list[asyncio.Task[int]] = []

    async def slowly(_connection_id: str) -> None:
        house.now_ += timedelta(seconds=4)
        others.append(asyncio.create_task(house.telling.pass_on(house.happen("task.progress", task_id="task_1"))))
        await asyncio.sleep(0)
        if len(others) == 20:
            house.poster.under_way = FakePoster().under_way

    await house.open("a", caller("viewer"))
    subscribe = json.dumps({"type": "subscribe", "events": ["task_progress"], "since": 0})
    house.poster.under_way = slowly
    connection = await house.connections.find("a")
    assert connection is not None
    await house.following.message(connection, subscribe)
    await asyncio.gather(*others)
    assert house.seqs("a") == [*range(1, 51)]


@on_a_loop
async def test_what_is_changed_while_it_is_told_is_told_in_order_all_the_same(house: House) -> None:
    """Some subscribe to one kind after another, and do not wait for the answers."""
    house.happen(*["task.progress"] * 3, task_id="task_1")
    await house.open("a", caller("developer"))
    connection = await house.connections.find("a")
    assert connection is not None
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def held_up(_connection_id: str) -> None:
        if house.seqs("a"):
            begun.set()
            await go_on.wait()

    def say(**message: Any) -> asyncio.Task[None]:
        return asyncio.create_task(house.following.message(connection, json.dumps(message)))

    house.poster.under_way = held_up
    first = say(type="subscribe", events=["task_progress"], since=0)
    second = say(type="subscribe", events=["escalation_status"])
    await begun.wait()
    more = [
        say(type="subscribe", events=["system_alerts"]),
        say(type="unsubscribe", events=["escalation_status"]),
        asyncio.create_task(house.telling.pass_on(house.happen("task.progress", task_id="task_1"))),
    ]
    for _ in range(20):
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, second, *more)
    assert house.seqs("a") == [1, 2, 3, 4]
    follower = await house.followers.find("a")
    assert follower is not None
    assert follower.events == {"task_progress", "system_alerts"}


@on_a_loop
async def test_nobody_is_told_anything_before_it_is_told_that_it_follows(house: House) -> None:
    await house.open("a", caller("viewer"))
    happening: list[asyncio.Task[int]] = []

    async def meanwhile(_connection_id: str) -> None:
        house.poster.under_way = FakePoster().under_way
        happening.append(asyncio.create_task(house.telling.pass_on(house.happen("task.created", task_id="task_1"))))
        for _ in range(20):
            await asyncio.sleep(0)

    house.poster.under_way = meanwhile
    told = await house.say("a", {"type": "subscribe", "events": ["task_progress"]})
    await asyncio.gather(*happening)
    assert [each["type"] for each in told] == ["subscribed", "task_progress"]


@on_a_loop
async def test_a_transactions_entries_that_the_stream_tells_in_any_order_are_told_in_the_logs(house: House) -> None:
    await house.follows("a")
    one, two, three, four = house.happen(*["task.progress"] * 4, task_id="task_1")
    await house.telling.pass_on([one, three, two, four])
    assert house.seqs("a") == [1, 2, 3, 4]


@on_a_loop
async def test_whoever_is_told_of_much_is_heard_in_between(house: House) -> None:
    house.happen(*["task.progress"] * 1000, task_id="task_1")
    await house.open("a", caller("viewer"))
    begun = asyncio.Event()

    async def under_way(_connection_id: str) -> None:
        await asyncio.sleep(0)  # as to a network
        if house.seqs("a"):
            begun.set()

    house.poster.under_way = under_way
    replay = asyncio.create_task(house.say("a", {"type": "subscribe", "events": ["task_progress"], "since": 0}))
    await begun.wait()
    await house.say("a", {"type": "unsubscribe"})
    await replay
    assert house.seqs("a") == [*range(1, len(house.seqs("a")) + 1)]
    assert len(house.seqs("a")) < 1000
