"""Slack: whose words are for us, and one answer to each of them."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.errors import Failure, Kind
from quintet.personas.cast import cast
from quintet.personas.slack.events import Mention, escaped, mention_of, words_of
from quintet.personas.slack.replying import Replying
from quintet.personas.slack.signing import signature_of, signed_by_slack
from tests.fakes.gateway import FakeGateway
from tests.loops import on_a_loop
from tests.unit.personas.room import PAYER, Room

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
BODY = b'{"type":"event_callback"}'

EVENT = {
    "type": "app_mention",
    "user": "U1234567890",
    "text": "<@U0987654321> What do you think about this?",
    "channel": "C1234567890",
    "ts": "1705312200.000000",
}


def callback(event: Mapping[str, Any] = EVENT, **more: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": dict(event), **more}


def mention(event_id: str = "Ev1", **changes: Any) -> Mention:
    found = mention_of(callback({**EVENT, **changes}, event_id=event_id))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"x-slack-request-timestamp": STAMP, "x-slack-signature": signature_of("key", STAMP, BODY)}, True),
        ({"x-slack-request-timestamp": STAMP, "x-slack-signature": signature_of("kez", STAMP, BODY)}, False),
        ({"x-slack-request-timestamp": STAMP, "x-slack-signature": signature_of("key", STAMP, b"{}")}, False),
        ({"x-slack-request-timestamp": STAMP, "x-slack-signature": "v0=ü"}, False),
        ({"x-slack-request-timestamp": STAMP}, False),
        ({"x-slack-signature": signature_of("key", "", BODY)}, False),
        *[
            ({"x-slack-request-timestamp": stamp, "x-slack-signature": signature_of("key", stamp, BODY)}, False)
            for stamp in (str(int(STAMP) - 301), str(int(STAMP) + 301), "now", "1e9", "-1", "٣", "9" * 40)
        ],
    ],
)
def test_only_a_fresh_signature_is_slacks(headers: Mapping[str, str], accepted: bool) -> None:
    assert signed_by_slack("key", headers, BODY, NOW) is accepted


def test_a_mention_is_answered_in_its_thread() -> None:
    found = mention()
    assert (found.thread, found.direct, found.event_id) == (EVENT["ts"], False, "Ev1")
    assert mention(thread_ts="1705312100.000000").thread == "1705312100.000000"
    assert Mention.read(found.told()) == found


def test_no_more_is_heard_than_slack_itself_lets_people_say() -> None:
    assert len(mention(text="x" * 90_000).text) == 40_000


def test_a_direct_message_is_answered_where_it_was_said() -> None:
    direct = {**EVENT, "type": "message", "channel_type": "im", "text": "Hi"}
    found = mention_of(callback(direct))
    assert found is not None
    assert (found.thread, found.direct) == ("", True)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "app_rate_limited"},
        {"type": "event_callback"},
        {"type": "event_callback", "event": "x"},
        callback({**EVENT, "type": "message"}),
        callback({**EVENT, "type": "message", "channel_type": "channel"}),
        callback({**EVENT, "type": "reaction_added"}),
        callback({**EVENT, "bot_id": "B1"}),
        callback({**EVENT, "subtype": "message_changed"}),
        callback({**EVENT, "type": "message", "channel_type": "im", "subtype": "bot_message"}),
        callback({**EVENT, "user": None}),
        callback({**EVENT, "text": 3}),
        callback({**EVENT, "ts": ""}),
        callback({**EVENT, "channel": "C" * 129}),
        callback({**EVENT, "thread_ts": "1" * 129}),
        callback(event_id="E" * 129),
        callback({**EVENT, "channel": "C1\r\n"}),
        callback({**EVENT, "user": "U😀"}),
        callback(team_id=5),
        callback(authorizations=[{"user_id": EVENT["user"], "is_bot": True}]),
    ],
)
def test_what_bots_say_and_what_nobody_says_to_us_is_not_ours(body: Any) -> None:
    assert mention_of(body) is None


def test_words_are_read_as_people_read_them_and_written_so_that_nobody_is_paged() -> None:
    assert words_of("<@U0987> see <https://x.test|the page> in <#C1|general>, a &lt; b") == (
        "see the page in general, a < b"
    )
    assert escaped("<!channel> a < b & c") == "&lt;!channel&gt; a &lt; b &amp; c"


class FakeSlack:
    def __init__(self, *failures: Failure) -> None:
        self.posts: list[tuple[str, str, str]] = []
        self.failures = list(failures)
        self.channels = {"C1234567890": "random", "C2": "quintet-riley"}

    async def post(self, channel: str, text: str, thread: str = "") -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.posts.append((channel, text, thread))

    async def channel_name(self, channel: str) -> str:
        return self.channels.get(channel, "")


class Desk:
    def __init__(self, *failures: Failure) -> None:
        self.room = Room(FakeGateway())
        self.slack = FakeSlack(*failures)
        room = self.room
        self.replying = Replying(cast(), room.talk, self.slack, room.notebook, room.notebook, room.clock)

    async def reply(self, said: Mention) -> bool:
        return await self.replying.reply(said, PAYER, self.room.journal)

    @property
    def asked(self) -> list[str]:
        """Who was asked, by the first words of its instructions."""
        return [str(each.ask.messages[0]["content"]).split(",")[0][8:] for each in self.room.gateway.asked]


@on_a_loop
async def test_the_same_event_five_times_is_one_reply() -> None:
    desk = Desk()
    answered = await asyncio.gather(*(desk.reply(mention()) for _ in range(5)))
    assert sorted(answered) == [False] * 4 + [True]
    assert desk.slack.posts == [("C1234567890", "What do you think about this?", "1705312200.000000")]


@on_a_loop
async def test_a_mention_in_a_direct_message_comes_twice_and_is_answered_once() -> None:
    desk = Desk()
    other = mention_of(callback({**EVENT, "type": "message", "channel_type": "im"}, event_id="Ev2"))
    assert other is not None
    assert await desk.reply(mention())
    assert not await desk.reply(other)


@on_a_loop
async def test_different_words_at_the_same_moment_are_different_events() -> None:
    desk = Desk()
    for number in range(3):
        said = mention_of(callback({**EVENT, "text": f"number {number}"}, event_id=""))
        assert said is not None
        assert await desk.reply(said)
    assert len(desk.slack.posts) == 3


@on_a_loop
async def test_an_answer_that_slack_did_not_take_is_posted_later_without_asking_again() -> None:
    desk = Desk(Failure(Kind.LIMITED, "Slack does not take this now", retry_after=30))
    with pytest.raises(Failure):
        await desk.reply(mention())
    assert await desk.reply(mention())
    assert len(desk.slack.posts) == len(desk.room.gateway.asked) == 1


@on_a_loop
async def test_what_slack_refuses_for_good_is_not_tried_for_ever() -> None:
    desk = Desk(Failure(Kind.REJECTED, "Slack refused chat.postMessage: channel_not_found"))
    assert not await desk.reply(mention())
    assert not await desk.reply(mention())
    assert desk.slack.posts == []


@on_a_loop
async def test_a_channel_or_a_name_picks_the_persona() -> None:
    desk = Desk()
    await desk.reply(mention())
    await desk.reply(mention("Ev2", channel="C2"))
    await desk.reply(mention("Ev3", text="<@U0987654321> Maya, what is our CAC?"))
    assert desk.asked == ["Tony", "Riley", "Maya"]
    assert desk.slack.posts[-1][1] == "what is our CAC?"


@on_a_loop
async def test_a_thread_is_one_conversation() -> None:
    desk = Desk()
    for number, thread in enumerate(("1.0", "1.0", "2.0")):
        await desk.reply(mention(f"Ev{number}", text=f"q{number}", thread_ts=thread, ts=f"9.{number}"))
    sessions = await desk.room.conversations.active(desk.room.clock.now(), 10, None)
    assert sorted(each.turns for each in sessions.items) == [1, 2]
