"""Lists of tasks against brute force: every filter, every order, page by page, and what they read."""

import itertools
import random
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from typing import Any

import pytest

from quintet.errors import Failure
from quintet.http.entry import kept_loop
from quintet.store import wire
from quintet.store.ids import new_id
from quintet.tasks.model import (
    MOST_TAGS,
    PRIORITIES,
    ROLES,
    TYPES,
    Filters,
    Order,
    SortBy,
    Status,
    Summary,
    Task,
    moved,
)
from quintet.tasks.store import pages, tasks
from quintet.tasks.store.entries import FEW_TAGS
from quintet.tasks.store.items import RowItem
from quintet.tasks.store.listing import Row, place_of, rows_of
from quintet.tasks.store.rows import head_of, summaries_of

pytestmark = pytest.mark.usefixtures("own_tables")

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
SEED = 8


@pytest.fixture(scope="module")
def made() -> list[Task]:
    return []


def _made(known: list[Task], count: int = 60) -> list[Task]:
    if known:
        return known
    chance = random.Random(SEED)
    word = secrets.token_hex(4)
    for number in range(count):
        now = NOW + timedelta(seconds=number)
        task = Task(
            id=new_id("task", now),
            title=f"task {number}",
            created_at=now,
            updated_at=now,
            created_by=f"{chance.choice(('ada', 'bob'))}-{word}",
            type=chance.choice(TYPES),
            priority=chance.choice(PRIORITIES),
            assignee_role=chance.choice((*ROLES, None)),
            tags=tuple(chance.sample(("api", "db", "ui"), chance.randrange(3))),
            deadline=chance.choice((None, NOW + timedelta(hours=chance.randrange(100)))),
        )
        tasks.add(task, None)
        if chance.random() < 0.6:
            later = moved(task, Status.IN_PROGRESS, NOW + timedelta(hours=1, seconds=chance.randrange(10_000)))
            tasks.change(task, later)
            task = later
            if chance.random() < 0.5:
                later = moved(
                    task, chance.choice((Status.COMPLETED, Status.FAILED)), NOW + timedelta(hours=9, seconds=number)
                )
                tasks.change(task, later)
                task = later
        known.append(task)
    return known


def _filters(known: list[Task]) -> Iterable[Filters]:
    creator = known[0].created_by
    statuses = (None, Status.PENDING, Status.COMPLETED)
    for status, kind, priority, role in itertools.product(statuses, (None, "review"), (None, "high"), (None, "critic")):
        yield Filters(status, kind, priority, role)
        yield Filters(status, kind, priority, role, created_by=creator)
    for tags, maker in itertools.product((("api",), ("api", "db")), (None, creator)):
        yield Filters(created_by=maker, tags=tags)
        yield Filters(created_by=maker, tags=tags, priority="high")
        yield Filters(created_by=maker, tags=tags, status=Status.PENDING, role="critic")


def in_order(tasks: Iterable[Task], order: Order) -> list[Task]:
    def compare(one: Task, other: Task) -> int:
        if order.by is SortBy.DEADLINE and (one.deadline is None) != (other.deadline is None):
            return 1 if one.deadline is None else -1
        left, right = _key(one, order.by), _key(other, order.by)
        result = (left > right) - (left < right)
        return -result if order.descending else result

    return sorted(tasks, key=cmp_to_key(compare))


def _key(task: Task, by: SortBy) -> tuple[Any, ...]:
    """Ids are in the order of creation."""
    keys: dict[SortBy, Any] = {
        SortBy.CREATED: task.created_at,
        SortBy.UPDATED: task.updated_at,
        SortBy.PRIORITY: PRIORITIES.index(task.priority),
        SortBy.DEADLINE: task.deadline or NOW,
    }
    return keys[by], task.id


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("by", list(SortBy))
def test_every_list_is_what_brute_force_finds(made: list[Task], by: SortBy, descending: bool) -> None:
    known = _made(made)
    order = Order(by, descending)

    async def all_lists() -> None:
        for filters in _filters(known):
            expected = [task.id for task in in_order(filter(filters.fit, known), order)]
            found: list[str] = []
            after: str | None = None
            while True:
                page = await pages.page(filters, order, 7, after=after)
                assert page.total == len(expected), filters
                found += [task.id for task in page.tasks]
                after = page.after
                if after is None:
                    break
                assert len(page.tasks) == 7
            assert found == expected, filters
            skipped = await pages.page(filters, order, 5, offset=3)
            assert [task.id for task in skipped.tasks] == expected[3:8], filters

    kept_loop().run_until_complete(all_lists())


def test_a_list_reads_what_it_answers(made: list[Task]) -> None:
    """A head is one unit; fifty keys are two at the most, and a total eight small items."""
    _made(made)

    async def units(filters: Filters, order: Order) -> float:
        with wire.watched(capacity=True) as calls:
            page = await pages.page(filters, order, 5)
        assert len(page.tasks) == 5
        return sum(call.units for call in calls)

    for filters, by in itertools.product((Filters(), Filters(status=Status.COMPLETED), Filters(type="review")), SortBy):
        assert kept_loop().run_until_complete(units(filters, Order(by))) <= 5 + 8 + 4, (filters, by)


def test_a_cursor_leads_on_in_its_own_order_alone(made: list[Task]) -> None:
    known = _made(made)

    async def refused() -> None:
        cursors = {by: (await pages.page(Filters(), Order(by), 5)).after for by in SortBy}
        strange = [cursors[SortBy.CREATED], f"2|{place_of(known[0], SortBy.CREATED)}", "0|~001795170600000#task_1"]
        for cursor in strange:
            for filters, by in ((Filters(), SortBy.PRIORITY), (Filters(priority="high"), SortBy.CREATED)):
                with pytest.raises(Failure, match="another order"):
                    await pages.page(filters, Order(by), 5, after=cursor)
        for by in (SortBy.CREATED, SortBy.UPDATED, SortBy.DEADLINE):
            with pytest.raises(Failure, match="another order"):
                await pages.page(Filters(), Order(by), 5, after=cursors[SortBy.PRIORITY])

    kept_loop().run_until_complete(refused())


@pytest.mark.parametrize("filters", [Filters(), Filters(tags=("moves",)), Filters(tags=("moves",), type="review")])
def test_a_task_that_is_met_at_its_old_place_as_well_is_shown_once(filters: Filters) -> None:
    """Who reads in two requests, while it moves, meets it twice."""
    was = Task(new_id("task", NOW), "Moves", NOW, "ada", NOW, type="review", tags=("moves",))
    tasks.add(was, None)
    now = moved(was, Status.IN_PROGRESS, NOW + timedelta(days=1))
    tasks.change(was, now)
    old = rows_of(was) - rows_of(now)
    for row in old:
        RowItem(row.list, row.place, told=row.told).save()

    order = Order(SortBy.UPDATED, descending=True)
    page = kept_loop().run_until_complete(pages.page(filters, order, 100))
    for row in old:
        RowItem(row.list, row.place).delete()
    assert [task.id for task in page.tasks].count(was.id) == 1


@pytest.mark.parametrize("tags", [0, 3, MOST_TAGS])
def test_whatever_happens_to_a_task_its_rows_are_those_that_it_has(tags: int) -> None:
    """Not all of them go into a transaction with so many tags."""
    for _, after in _life(tags):
        assert {Row(item.list, item.place, item.told) for item in RowItem.scan() if after.id in item.place} == rows_of(
            after
        )


@pytest.mark.parametrize("tags", [1, FEW_TAGS, FEW_TAGS + 1, MOST_TAGS])
def test_owners_lists_show_a_task_as_it_is_though_nobody_clears_up_after_a_transaction(
    tags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_leave", list)

    async def shown(filters: Filters, by: SortBy) -> list[Summary]:
        return list((await pages.page(filters, Order(by), 5)).tasks)

    for before, after in _life(tags):
        (expected,) = summaries_of([(after.id, head_of(after))])
        creator = Filters(created_by=after.created_by)
        for filters, by in itertools.product(
            (creator, replace(creator, tags=after.tags), Filters(tags=after.tags)), SortBy
        ):
            found = kept_loop().run_until_complete(shown(filters, by))
            assert [each._replace(tags=[*each.tags]) for each in found] == [expected], (filters, by)
            if before.status is not after.status:
                assert not kept_loop().run_until_complete(shown(replace(filters, status=before.status), by))


def _life(tags: int) -> Iterator[tuple[Task, Task]]:
    word = secrets.token_hex(4)
    names = [f"{word}-{number}" for number in range(tags)]
    task = Task(new_id("task", NOW), "Tagged", NOW, f"ada-{word}", NOW, assignee_role="critic", tags=(*names,))
    tasks.add(task, None)
    begun = moved(task, Status.IN_PROGRESS, NOW + timedelta(seconds=1))
    other = begun.changed(
        NOW + timedelta(seconds=2), title="Now", tags=(*names[1:], f"{word}-x"), priority="high", deadline=NOW
    )
    ended = moved(other, Status.COMPLETED, NOW + timedelta(seconds=3), type="review")
    for before, after in itertools.pairwise((task, begun, other, ended)):
        tasks.change(before, after)
        yield before, after
