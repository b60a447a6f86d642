"""Which lists are partitions of their own, and which are picked from entries."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.tasks.model import Filters, Order, SortBy, Status, Task
from quintet.tasks.store.listing import Pick, Read, entry_at, entry_of, plan_of, rows_of

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
TASK = Task(id="task_1", title="List orders", created_at=NOW, created_by="ada", updated_at=NOW, tags=("api", "a&b|c"))
OWNERS = (Filters(created_by="ada"), Filters(tags=("api",)))


@pytest.mark.parametrize("by", list(SortBy))
def test_any_status_type_priority_and_role_is_a_partition(by: SortBy) -> None:
    options = ((None, Status.PENDING), (None, "review"), (None, "high"), (None, "critic"))
    for values in itertools.product(*options):
        assert isinstance(plan_of(Filters(*values), Order(by)), Read)


@pytest.mark.parametrize("by", list(SortBy))
@pytest.mark.parametrize("owner", OWNERS)
def test_so_is_a_creator_and_so_is_a_tag(owner: Filters, by: SortBy) -> None:
    assert isinstance(plan_of(owner, Order(by)), Read)


def test_the_newest_of_a_priority_or_of_a_creators_status_are_partitions_too() -> None:
    for owner in OWNERS:
        assert isinstance(plan_of(replace(owner, priority="high"), Order()), Read)
    for by in (SortBy.CREATED, SortBy.UPDATED, SortBy.DEADLINE):
        assert isinstance(plan_of(Filters(status=Status.PENDING, created_by="ada"), Order(by)), Read)


def test_the_rest_is_picked_from_entries() -> None:
    filters = Filters(type="review", created_by="ada", tags=("api", "db"))
    assert plan_of(filters, Order()) == Pick(("g=api|created_at", "g=db|created_at", "c=ada|created_at"))


@pytest.mark.parametrize("deadline", [None, NOW + timedelta(days=1)])
def test_an_entry_tells_what_lists_ask(deadline: datetime | None) -> None:
    task = replace(TASK, deadline=deadline)
    told = [entry_at(row.place, row.told) for row in rows_of(task) if row.told]
    assert told == [entry_of(task)._replace(tags=list(task.tags))] * 3


def test_nobody_names_a_tag_like_another_list() -> None:
    named = replace(TASK, created_by="ada&s=pending", tags=("api&p=high", "p=high"))
    asked = Filters(priority="high", tags=("api",))
    plan = plan_of(asked, Order())
    assert isinstance(plan, Read)
    assert not {segment.list for segment in plan.segments} & {row.list for row in rows_of(named)}
