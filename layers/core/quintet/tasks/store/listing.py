"""Where a task stands in the lists, pure: every combination of filters is a partition of its own, in three orders.

A list must read what it answers and no more, whatever the filters and the order, and must know its total. So a task has
a row (two short keys, nothing else) in the partition of each of the 16 combinations of status, type, priority and role,
in those of its creator (alone, with its status, with its priority), and in those of each of its tags (alone, with its
priority). A page is one Query of keys and one read of the tasks it names.

What is asked of a creator or a tag beyond that, or of several tags, would be partitions without number. Their rows in
the order of creation are entries: they tell what filters and orders ask, and some 25 of them are a unit. Such a list is
picked from the entries of the creator, or of one tag (the rarest), and no task is read that is not answered.

Rows are written in the transaction that changes the task, so a list is as consistent as the task. They are never shared
between tasks, so transactions do not cancel each other. What that costs: creating a task with three tags writes some 80
items, a change of status 95, a step forward 50, a hundredth of a cent at the most. A transaction takes 100, enough for
four tags. (Where it is more, new rows are written before it, old ones go after it, and readers pass over a row whose
task has left it; entries are always in it.) Secondary indexes were no way: a table has 20 at the most, each with one
order, and they lag behind.

The busiest partition, all tasks by creation, takes two writes a task: some 500 new tasks a second.

Priorities are four: that order is four partitions read one after the other.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from quintet.store.clock import millis, sortable
from quintet.tasks.model import PRIORITIES, Filters, Order, SortBy, Status, Task

RUNNING = "running"  # tasks that an execution works on, those first that have not moved for longest
_NONE_YET = "~"  # after every digit: what has no deadline comes last
WHOLE = (" ", "~~")
_LETTERS = {"status": "s", "type": "t", "priority": "p", "role": "r"}
_ORDERS = (SortBy.CREATED, SortBy.UPDATED, SortBy.DEADLINE)


class Entry(NamedTuple):
    """What lists are told of a task. Moments are milliseconds."""

    id: str
    created: int
    status: str
    type: str
    priority: str
    assignee_role: str | None
    created_by: str
    tags: Sequence[str]
    updated: int
    deadline: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """`told` makes it an entry."""

    list: str
    place: str
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one partition, `first` to `last`."""

    list: str
    first: str = WHOLE[0]
    last: str = WHOLE[1]


@dataclass(frozen=True, slots=True)
class Read:
    """Segments to be read one after the other: they are the list."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Pick:
    """Each of these partitions has an entry of all tasks that fit, and of others."""

    lists: tuple[str, ...]


def entry_of(task: Task) -> Entry:
    return Entry(
        task.id,
        millis(task.created_at),
        task.status,
        task.type,
        task.priority,
        task.assignee_role,
        task.created_by,
        task.tags,
        millis(task.updated_at),
        millis(task.deadline) if task.deadline else None,
    )


def entry_at(place: str, told: str) -> Entry:
    created, _, task_id = place.partition("#")
    return Entry(task_id, int(created), *json.loads(told))


def rows_of(task: Task) -> frozenset[Row]:
    entry = entry_of(task)
    owners = (f"c={task.created_by}", *(f"g={tag}" for tag in task.tags))
    names = [*_combinations(entry), f"s={task.status}&c={task.created_by}"]
    places = {sort: place_of(entry, sort) for sort in _ORDERS}
    created = places[SortBy.CREATED]
    told = json.dumps(entry[2:], separators=(",", ":"), ensure_ascii=False)
    rows = {Row(f"{name}|{sort}", place) for name in names for sort, place in places.items()}
    for owner in owners:
        rows |= {Row(f"{owner}|{sort}", places[sort]) for sort in (SortBy.UPDATED, SortBy.DEADLINE)}
        rows |= {Row(f"{owner}|{SortBy.CREATED}", created, told)}
        rows |= {Row(f"p={task.priority}&{owner}|{SortBy.CREATED}", created)}
    if task.run and not task.ended:
        rows.add(Row(RUNNING, places[SortBy.UPDATED]))
    if task.submission is not None and not task.ended:
        working = task.run > 0 and task.status is Status.IN_PROGRESS
        rows.add(Row((working_list if working else waiting_list)(task.submission.role), created))
    return frozenset(rows)


def moves_of(before: Task | None, after: Task) -> tuple[list[Row], list[Row]]:
    """The rows that come, or tell something else now, and those that go."""
    was = {(row.list, row.place): row for row in rows_of(before)} if before else {}
    now = {(row.list, row.place): row for row in rows_of(after)}
    return [row for key, row in now.items() if was.get(key) != row], [row for key, row in was.items() if key not in now]


def working_list(role: str) -> str:
    """What agents of a role are working on."""
    return f"working|{role}"


def waiting_list(role: str) -> str:
    """What they have been given, and have not begun."""
    return f"waiting|{role}"


def place_of(entry: Entry, sort: SortBy) -> str:
    if sort is SortBy.UPDATED:
        return f"{sortable(entry.updated)}#{entry.id}"
    moment = entry.deadline if sort is SortBy.DEADLINE else entry.created
    if moment is None:
        return f"{_NONE_YET}{sortable(entry.created)}#{entry.id}"
    return f"{sortable(moment)}#{entry.id}"


def task_at(place: str) -> str:
    return place.partition("#")[2]


def plan_of(filters: Filters, order: Order) -> Read | Pick:
    asked = _asked(filters)
    owners = [f"g={tag}" for tag in filters.tags]
    if filters.created_by is not None:
        owners.append(f"c={filters.created_by}")
    if owners and not _has_partitions(filters, order, owners):
        return Pick(tuple(f"{owner}|{SortBy.CREATED}" for owner in owners))
    if order.by is SortBy.PRIORITY or (owners and "priority" in asked):
        wanted = [filters.priority] if filters.priority else list(PRIORITIES)
        names = [_name(asked | {"priority": each}, owners) for each in wanted]
        if order.descending:
            names.reverse()
        return Read(tuple(Segment(f"{name}|{SortBy.CREATED}") for name in names))
    return Read(_segments(_name(asked, owners), order))


def sort_key(entry: Entry, order: Order) -> tuple[int, str]:
    """For what is put in order after reading; with `descending` this is to be reversed."""
    place = place_of(entry, order.by)
    if order.by is SortBy.PRIORITY:
        return PRIORITIES.index(entry.priority), place
    if order.by is SortBy.DEADLINE:
        return int((entry.deadline is None) is not order.descending), place
    return 0, place


def _asked(filters: Filters) -> dict[str, str]:
    asked = {"status": filters.status, "type": filters.type, "priority": filters.priority, "role": filters.role}
    return {name: value for name, value in asked.items() if value is not None}


def _segments(name: str, order: Order) -> tuple[Segment, ...]:
    partition = f"{name}|{order.by}"
    if order.by is SortBy.DEADLINE:
        return Segment(partition, " ", "9~"), Segment(partition, _NONE_YET, "~~")
    return (Segment(partition),)


def _has_partitions(filters: Filters, order: Order, owners: Sequence[str]) -> bool:
    """Whether what is asked of a creator, or of a tag, is a list of its own."""
    if len(owners) > 1:
        return False
    asked = _asked(filters).keys()
    if asked == {"priority"}:
        return order.by in {SortBy.CREATED, SortBy.PRIORITY}
    if asked == {"status"}:
        return filters.created_by is not None and order.by is not SortBy.PRIORITY
    return not asked


def _combinations(entry: Entry) -> Iterator[str]:
    facts = {
        "status": entry.status,
        "type": entry.type,
        "priority": entry.priority,
        **({"role": entry.assignee_role} if entry.assignee_role else {}),
    }
    for size in range(len(facts) + 1):
        for chosen in combinations(facts, size):
            yield _name({name: facts[name] for name in chosen})


def _name(facts: dict[str, str], owners: Sequence[str] = ()) -> str:
    """An owner comes last: nobody can name himself, or a tag, like another list."""
    told = [f"{letter}={facts[name]}" for name, letter in _LETTERS.items() if name in facts]
    return "&".join((*told, *owners)) or "all"
