"""Which lists are partitions, or stretches of them, of their own, and which are picked from entries."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.tasks.model import PRIORITIES, Filters, Order, SortBy, Status, Task
from quintet.tasks.store.entries import fits
from quintet.tasks.store.listing import plan_of, rows_of

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
TASK = Task(id="task_1", title="List orders", created_at=NOW, created_by="ada", updated_at=NOW, tags=("api", "a&b|c"))
OWNERS = (Filters(created_by="ada"), Filters(tags=("api",)))
ANY = [
    Filters(*values)
    for values in itertools.product((None, Status.PENDING), (None, "review"), (None, "high"), (None, "critic"))
]


def _of_its_own(filters: Filters, order: Order) -> bool:
    sources = plan_of(filters, order)
    return len(sources) == 1 and sources[0].holds == filters


@pytest.mark.parametrize("by", list(SortBy))
def test_any_status_type_priority_and_role_has_a_list_of_its_own(by: SortBy) -> None:
    assert all(_of_its_own(filters, Order(by)) for filters in ANY)


@pytest.mark.parametrize("by", list(SortBy))
@pytest.mark.parametrize("owner", OWNERS)
def test_so_has_a_tag_and_so_has_a_creator_with_any_one_of_these(owner: Filters, by: SortBy) -> None:
    assert _of_its_own(owner, Order(by))
    if owner.created_by:
        single = [
            asked for asked in ANY if len([*filter(None, (asked.status, asked.type, asked.priority, asked.role))]) == 1
        ]
        assert all(_of_its_own(replace(asked, created_by=owner.created_by), Order(by)) for asked in single)


def test_a_priority_in_the_order_of_creation_is_a_stretch_of_the_order_of_priorities() -> None:
    for owner, by in itertools.product((Filters(), *OWNERS), (SortBy.CREATED, SortBy.PRIORITY)):
        high = replace(owner, priority="high")
        assert _of_its_own(high, Order(by))
        (segment,), (whole,) = plan_of(high, Order(by))[0].segments, plan_of(owner, Order(SortBy.PRIORITY))[0].segments
        assert segment.list == whole.list
        places = {row.place for row in rows_of(replace(TASK, priority="high")) if row.list == segment.list}
        assert len(places) == 1
        assert all(map(segment.has, places))
        for priority in {*PRIORITIES} - {"high"}:
            other = {row.place for row in rows_of(replace(TASK, priority=priority)) if row.list == segment.list}
            assert not any(map(segment.has, other))


@pytest.mark.parametrize("by", list(SortBy))
def test_the_rest_is_picked_from_entries_in_the_order_that_is_asked_for(by: SortBy) -> None:
    filters = Filters(type="review", created_by="ada", tags=("api", "db"))
    lists = [[segment.list for segment in source.segments] for source in plan_of(filters, Order(by))]
    assert lists == [[f"g=api|{by}"], [f"g=db|{by}"], [f"t=review&c=ada|{by}"]]
    told = {row.list for row in rows_of(replace(TASK, type="review")) if row.told}
    assert {f"g=api|{by}", f"c=ada|{by}", f"t=review&c=ada|{by}"} <= told


def test_where_a_task_stands_is_a_place_of_its_lists_and_not_of_those_in_another_order() -> None:
    for task in (TASK, replace(TASK, deadline=NOW + timedelta(days=1))):
        places = {row.list.rpartition("|")[2]: row.place for row in rows_of(task) if row.list.startswith("all|")}
        for by, descending in itertools.product(SortBy, (True, False)):
            segments = plan_of(Filters(), Order(by, descending))[0].segments
            assert sum(segment.has(places[by]) for segment in segments) == 1
            strange = places[SortBy.CREATED if by is SortBy.PRIORITY else SortBy.PRIORITY]
            assert not any(segment.has(strange) for segment in segments)


@pytest.mark.parametrize("owner", [Filters(created_by="ada"), Filters(tags=("api",)), Filters(tags=("a&b|c",))])
def test_an_entry_tells_what_lists_ask(owner: Filters) -> None:
    task = replace(TASK, title="db")  # which is a tag as well
    (told,) = {row.told for row in rows_of(task) if row.told}
    others = (None, "ada", "bob")
    tags: tuple[tuple[str, ...], ...] = ((), ("api",), ("api", "db"), ("a&b|c", "api"))
    for facts, creator, asked in itertools.product((*ANY, Filters(status=Status.FAILED)), others, tags):
        filters = replace(facts, created_by=owner.created_by or creator, tags=(*{*owner.tags, *asked},))
        assert fits(filters, owner)(told) is filters.fit(task)


def test_nobody_names_a_tag_like_another_list() -> None:
    named = replace(TASK, created_by="ada&s=pending", tags=("api&p=high", "p=high"))
    for filters, by in itertools.product(
        (Filters(priority="high", tags=("api",)), Filters(priority="high"), Filters(status=Status.PENDING)), SortBy
    ):
        segments = [segment for source in plan_of(filters, Order(by)) for segment in source.segments]
        owned = {row.list for row in rows_of(named) if row.told}
        assert not {segment.list for segment in segments} & owned
