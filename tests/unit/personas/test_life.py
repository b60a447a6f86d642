"""The personas' days: what is due when, what comes of it, and that it comes once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.model import Journal
from quintet.personas.cast import Cast, cast
from quintet.personas.life.activities import Life, news_page
from quintet.personas.life.feeds import Headline
from quintet.personas.life.fetching import Unread
from quintet.personas.life.posts import LONGEST, blocked, fitted
from quintet.personas.life.pulse import Beat, active_names, uptime
from quintet.personas.life.slots import Slot, due
from quintet.personas.life.ticking import Ticking
from quintet.personas.model import Activity, Persona, Status
from quintet.personas.tools.own import journal_page
from tests.fakes.gateway import FakeGateway, FakeJournal
from tests.loops import on_a_loop
from tests.unit.personas.room import PAYER, Room

TONY, MAYA, *_ = cast().personas


class FakeFeeds:
    def __init__(self) -> None:
        self.pages: dict[str, list[Headline] | Unread] = {}

    async def read(self, source: str) -> list[Headline]:
        found = self.pages.get(source, Unread("HTTP 404"))
        if isinstance(found, Unread):
            raise found
        return found


class FakeCrier:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.deaf = False

    async def tell(self, persona: Persona, text: str) -> None:
        if self.deaf:
            raise Failure(Kind.UPSTREAM, "nobody there")
        self.told.append((persona.name, text))


class World:
    def __init__(self, says: str = "A thought.") -> None:
        self.room = Room(FakeGateway(lambda *_: says))
        self.feeds, self.crier = FakeFeeds(), FakeCrier()
        self.life = self.of(cast())
        self.lived: Counter[str] = Counter()
        self.fails: set[str] = set()

    def of(self, cast: Cast) -> Life:
        room = self.room
        return Life(cast, room.gateway, room.notebook, room.processes, self.feeds, self.crier, room.clock)

    async def live(self, activity: Activity, persona: Persona = TONY) -> str:
        return await self.life.live(persona, activity, PAYER, self.room.journal)

    def ticking(self) -> Ticking:
        return Ticking(self.life, self.room.notebook, self.journal)

    @asynccontextmanager
    async def journal(self, _persona: Persona, slot: Slot) -> AsyncIterator[Journal]:
        await asyncio.sleep(0)  # another tick may come in between
        if slot.mark in self.fails:
            self.fails.discard(slot.mark)
            raise RuntimeError("struck by lightning")
        yield FakeJournal()
        self.lived[slot.mark] += 1


def expected(first: datetime, last: datetime) -> set[str]:
    """Every slot that begins in between, from the calendar alone."""
    marks = set()
    for persona in cast().personas:
        zone = ZoneInfo(persona.timezone)
        hour = first
        while hour <= last:
            local = hour.astimezone(zone)
            for activity, hours in persona.hours.items():
                if local.hour in hours and local.minute == 0:
                    marks.add(f"slot#{persona.id}#{activity.value}#{local:%Y-%m-%d}T{local.hour:02d}")
            hour += timedelta(minutes=30)
    return marks


def test_a_week_of_doubled_late_and_missing_ticks_lives_every_slot_once() -> None:
    @on_a_loop
    async def week() -> None:
        world, chance = World(), random.Random(7)
        first = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        for quarter in range(7 * 24 * 4):
            at = first + timedelta(minutes=15 * quarter)
            kind = chance.choice(["fine", "fine", "doubled", "late", "missing", "missing"])
            if kind == "missing":
                continue
            world.room.clock.time = at + timedelta(seconds=chance.randrange(1, 900) if kind == "late" else 0)
            ticks = [world.ticking().tick(PAYER) for _ in range(2 if kind == "doubled" else 1)]
            await asyncio.gather(*ticks)
        world.room.clock.time = first + timedelta(days=7)
        await world.ticking().tick(PAYER)
        inside = expected(first - timedelta(hours=2, minutes=30), first + timedelta(days=7))
        assert set(world.lived) == inside
        assert set(world.lived.values()) == {1}

    week()


@on_a_loop
async def test_a_slot_that_failed_is_lived_by_the_next_tick() -> None:
    world = World()
    world.room.clock.time = datetime(2026, 11, 29, 17, 0, tzinfo=UTC)  # nine o'clock for Tony
    mark = "slot#tony#goals#2026-11-29T09"
    world.fails.add(mark)
    assert mark not in await world.ticking().tick(PAYER)
    world.room.clock.passes(minutes=15)
    assert mark in await world.ticking().tick(PAYER)
    assert world.lived[mark] == 1


def test_clocks_that_are_set_do_not_double_or_lose_an_hour() -> None:
    owl = replace(TONY, timezone="America/New_York", hours={Activity.POST: (1, 2)})
    for day in (datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)):
        marks = Counter(
            slot.mark for minutes in range(0, 24 * 60, 60) for slot in due(owl, day + timedelta(minutes=minutes))
        )
        assert {mark[-2:] for mark in marks if f"{day:%Y-%m-%d}" in mark} == {"01", "02"}
        begins = {slot.mark: slot.begins for hours in range(24) for slot in due(owl, day + timedelta(hours=hours))}
        assert len(set(begins.values())) == len(begins)


def test_nothing_is_due_before_its_hour_or_long_after() -> None:
    nine = datetime(2026, 11, 29, 9, tzinfo=ZoneInfo(TONY.timezone)).astimezone(UTC)
    goals = replace(TONY, hours={Activity.GOALS: (9,)})
    assert due(goals, nine - timedelta(seconds=1)) == []
    assert [slot.hour for slot in due(goals, nine)] == ["2026-11-29T09"]
    assert due(goals, nine + timedelta(hours=3)) == []


@on_a_loop
async def test_news_are_read_once_and_what_cannot_be_read_is_said() -> None:
    world = World()
    first, second = TONY.sources[:2]
    world.feeds.pages[first] = [Headline("One", "https://x.test/1", "1"), Headline("Two", "https://x.test/2")]
    told = await world.live(Activity.NEWS)
    assert told == f"Read 2 new headlines from 1 of 2 sources; not read: {second} (HTTP 404)"
    world.feeds.pages[first] = [Headline("One, again", "https://x.test/1", "1")]
    assert (await world.live(Activity.NEWS)).startswith("Read 0 new")
    assert len(await world.room.notebook.read(news_page(TONY), 9)) == 2
    await world.live(Activity.REFLECTION)
    assert "- Two" in str(world.room.gateway.asked[-1].ask.messages[0]["content"])


@on_a_loop
async def test_goals_and_the_team_are_looked_at_without_a_model() -> None:
    world = World()
    await world.room.notebook.set_goals(TONY, ["Sleep", "Eat"])
    assert await world.live(Activity.GOALS) == "Reviewed 2 goals: Sleep; Eat"
    assert await world.live(Activity.TEAM_CHECK) == "Checked on the team: 1 processes are running (Tony 1)"
    assert world.room.gateway.asked == []
    assert Counter(each.status for each in world.room.processes.rows.values()) == {Status.COMPLETED: 2}


@on_a_loop
async def test_what_is_thought_lies_in_the_journal_and_is_counted() -> None:
    world = World("It was a long day. " * 20)
    assert (await world.live(Activity.REFLECTION)).startswith("Reflected: It was a long day.")
    assert (await world.live(Activity.JOURNAL)).startswith("Wrote: It was")
    assert [note.kind for note in world.room.notebook.pages[journal_page(TONY)]] == ["reflection", "journal"]
    assert all(each.metrics.llm_calls == 1 for each in world.room.processes.rows.values())


@on_a_loop
async def test_a_post_is_short_told_elsewhere_and_followed_by_silence() -> None:
    world = World('"' + "Measure twice, cut once. " * 30 + '"')
    told = await world.live(Activity.POST)
    (post,) = world.room.notebook.posts
    assert told == f"Posted: {post.text}"
    assert len(post.text) <= LONGEST
    assert world.crier.told == [("Tony", post.text)]
    assert "within the last 10 minutes" in await world.live(Activity.POST)
    assert (await world.live(Activity.POST, MAYA)).startswith("Posted: ")
    world.room.clock.passes(minutes=10)
    world.crier.deaf = True
    assert (await world.live(Activity.POST)).startswith("Posted: ")


@on_a_loop
async def test_a_post_with_a_blocked_word_is_not_posted() -> None:
    world = World("Our Password is swordfish.")
    assert await world.live(Activity.POST) == "Not posted: it says 'password', which Tony must not"
    assert world.room.notebook.posts == []


@on_a_loop
async def test_an_activity_that_fails_is_a_failed_process() -> None:
    world = World()
    world.room.gateway.script = lambda *_: Failure(Kind.UPSTREAM, "all providers failed")
    with pytest.raises(Failure):
        await world.live(Activity.POST)
    assert [each.status for each in world.room.processes.rows.values()] == [Status.FAILED]


def test_posts_are_cut_between_words_and_words_are_blocked_whole() -> None:
    assert fitted('  "Hello\n world"  ') == "Hello world"
    assert len(fitted("x" * 500)) == LONGEST
    assert fitted("word " * 100).endswith("word…")
    assert blocked("The PASSWORD.", ["password"]) == "password"
    assert blocked("passwords", ["password"]) is None
    assert blocked("guaranteed   returns", ["guaranteed returns"]) is None
    assert blocked("c++ is fine", ["c++"]) == "c++"


def test_personas_live_as_long_as_somebody_wakes_them() -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    assert active_names(cast(), Beat(now), now) == []
    assert active_names(cast(), Beat(now, now - timedelta(minutes=16)), now) == cast().names
    assert active_names(cast(), Beat(now, now - timedelta(hours=1)), now) == []
    lengths = [uptime(timedelta(seconds=each)) for each in (5, 65, 9015, 360_000)]
    assert lengths == ["5s", "1m5s", "2h30m15s", "100h0m0s"]
