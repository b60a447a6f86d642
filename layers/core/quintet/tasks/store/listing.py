"""Where a task stands in the lists, pure: every combination of filters is a partition of its own, in four orders.

A list must read what it answers and no more, whatever the filters and the order, and must know its total. So a task has
a row (two short keys, nothing else) in the partition of each of the 16 combinations of status, type, priority and role,
in those of its creator (alone and with its status), and in those of each of its tags. A page is one Query of keys and
one read of the tasks it names.

Places in the order of priorities begin with the priority's rank: a priority in the order of creation is a stretch of
them, and needs no partition. Deadlines begin with the tasks that have none: from the end on they come last, as they
should; the other way they are a second Query, if the first has not filled the page.

What is asked of a creator or a tag beyond that, or of several tags, would be partitions without number. Their rows are
entries: they tell what filters ask, and some 25 of them are a unit. Such a list is picked from the entries of the
creator, or of one tag (the rarest), in its order, and no task is read that is not answered.

Rows are written in the transaction that changes the task, so a list is as consistent as the task. They are never shared
between tasks, so transactions do not cancel each other. What that costs: creating a task with three tags writes some 80
items, a change of status 105, a step forward 50, a hundredth of a cent at the most. A transaction takes 100: what is
more (with three tags, a few of the old rows) goes after it, and readers pass over a row whose task has left the list.
Secondary indexes were no way: a table has 20 at the most, each with one order, and they lag behind.

The busiest partition, all tasks by creation, takes two writes a task: some 500 new tasks a second.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from quintet.store.clock import millis, sortable
from quintet.tasks.model import PRIORITIES, Filters, Order, SortBy, Status, Task
from quintet.tasks.store.facts import DIGITS, digits_of, pattern_of

RUNNING = "running"  # tasks that an execution works on, those first that have not moved for longest
WHOLE = (" ", "~~")
_NONE_YET = "-"  # before every digit: from the end on, what has no deadline comes last
_LETTERS = {"status": "s", "type": "t", "priority": "p", "role": "r"}
_BY_RANK = (SortBy.CREATED, SortBy.PRIORITY)  # of one priority both are the order of creation
_PLACES = {
    SortBy.CREATED: re.compile(r"\d{15}#"),
    SortBy.UPDATED: re.compile(r"\d{15}#"),
    SortBy.PRIORITY: re.compile(r"\d{16}#"),
    SortBy.DEADLINE: re.compile(rf"{_NONE_YET}?\d{{15}}#"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """`told` makes it an entry."""

    list: str
    place: str
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the partition of what has this name, in an order, `first` to `last`."""

    name: str
    by: SortBy
    first: str = WHOLE[0]
    last: str = WHOLE[1]

    @property
    def list(self) -> str:
        return f"{self.name}|{self.by}"

    def has(self, place: str) -> bool:
        """Whether it is a place there, taken or not."""
        return self.first <= place <= self.last and _PLACES[self.by].match(place) is not None


@dataclass(frozen=True, slots=True)
class Source:
    """Segments that one after the other have the tasks of `holds` in the order that was asked for."""

    segments: tuple[Segment, ...]
    holds: Filters


def rows_of(task: Task) -> frozenset[Row]:
    places = {sort: place_of(task, sort) for sort in SortBy}
    rows: set[Row] = set()
    for facts in _combinations(task):
        orders = [SortBy.UPDATED, SortBy.DEADLINE] if "priority" in facts else SortBy
        rows |= {Row(f"{_name(facts)}|{sort}", places[sort]) for sort in orders}
    told = _told_of(task)
    creator = f"c={task.created_by}"
    for name in (creator, _name({"status": task.status}, creator), *(f"g={tag}" for tag in task.tags)):
        rows |= {Row(f"{name}|{sort}", place, told) for sort, place in places.items()}
    if task.run and not task.ended:
        rows.add(Row(RUNNING, places[SortBy.UPDATED]))
    if task.submission is not None and not task.ended:
        working = task.run > 0 and task.status is Status.IN_PROGRESS
        rows.add(Row((working_list if working else waiting_list)(task.submission.role), places[SortBy.CREATED]))
    return frozenset(rows)


def moves_of(before: Task | None, after: Task) -> tuple[list[Row], list[Row], list[Row]]:
    """The rows that tell something else now, those that come, and those that go: entries first, and last those of lists
    that the task leaves for good, for readers see that.
    """
    was = {(row.list, row.place): row for row in rows_of(before)} if before else {}
    now = {(row.list, row.place): row for row in rows_of(after)}
    lists = {name for name, _ in now}
    retold = [row for key, row in now.items() if key in was and was[key] != row]
    come = [row for key, row in now.items() if key not in was]
    gone = [row for key, row in was.items() if key not in now]
    return retold, sorted(come, key=_is_bare), sorted(gone, key=lambda row: (_is_bare(row), row.list not in lists))


def working_list(role: str) -> str:
    """What agents of a role are working on."""
    return f"working|{role}"


def waiting_list(role: str) -> str:
    """What they have been given, and have not begun."""
    return f"waiting|{role}"


def place_of(task: Task, sort: SortBy) -> str:
    created = sortable(millis(task.created_at))
    match sort:
        case SortBy.UPDATED:
            moment = sortable(millis(task.updated_at))
        case SortBy.PRIORITY:
            moment = f"{PRIORITIES.index(task.priority)}{created}"
        case SortBy.DEADLINE:
            moment = sortable(millis(task.deadline)) if task.deadline else f"{_NONE_YET}{created}"
        case _:
            moment = created
    return f"{moment}#{task.id}"


def task_at(place: str) -> str:
    return place.partition("#")[2]


def plan_of(filters: Filters, order: Order) -> tuple[Source, ...]:
    """Each of these has all tasks that fit. Where there is one that holds what is asked, it is the list itself."""
    facts = _asked(filters)
    if filters.created_by is None and not filters.tags:
        return (Source(_segments(facts, "", order), filters),)
    sources = [_source_of(Filters(tags=(tag,)), f"g={tag}", {}, filters, order) for tag in filters.tags]
    if filters.created_by is not None:
        owner = Filters(created_by=filters.created_by)
        status = {"status": facts["status"]} if "status" in facts else {}
        sources.append(_source_of(owner, f"c={filters.created_by}", status, filters, order))
    return tuple(sources)


def fits(filters: Filters, holds: Filters) -> Callable[[str], bool]:
    """Whether what an entry of those that are held tells is what is asked."""
    like = re.compile(pattern_of(filters))
    wanted = set(filters.tags) - set(holds.tags)
    creator = None if filters.created_by == holds.created_by else filters.created_by

    def fit(told: str) -> bool:
        if like.match(told) is None:
            return False
        if not wanted and creator is None:
            return True
        by, *tags = json.loads(told[DIGITS:])
        return (creator is None or by == creator) and wanted.issubset(tags)

    return fit


def _source_of(owner: Filters, name: str, facts: dict[str, Any], filters: Filters, order: Order) -> Source:
    """`facts` are those for which the owner has partitions."""
    if filters.priority is not None and order.by in _BY_RANK:
        facts = facts | {"priority": filters.priority}
    return Source(_segments(facts, name, order), replace(owner, **facts))


def _segments(facts: dict[str, Any], owner: str, order: Order) -> tuple[Segment, ...]:
    """Of the partition that has these facts, in the order that was asked for."""
    if order.by in _BY_RANK and "priority" in facts:
        rank = str(PRIORITIES.index(facts["priority"]))
        rest = {name: value for name, value in facts.items() if name != "priority"}
        return (Segment(_name(rest, owner), SortBy.PRIORITY, rank, f"{rank}~"),)
    name = _name(facts, owner)
    if order.by is SortBy.DEADLINE and not order.descending:
        return (Segment(name, order.by, "0"), Segment(name, order.by, last=f"{_NONE_YET}~"))
    return (Segment(name, order.by),)


def _asked(filters: Filters) -> dict[str, Any]:
    asked = {"status": filters.status, "type": filters.type, "priority": filters.priority, "role": filters.role}
    return {name: value for name, value in asked.items() if value is not None}


def _combinations(task: Task) -> Iterator[dict[str, Any]]:
    facts = {
        "status": str(task.status),
        "type": task.type,
        "priority": task.priority,
        **({"role": task.assignee_role} if task.assignee_role else {}),
    }
    for size in range(len(facts) + 1):
        for chosen in combinations(facts, size):
            yield {name: facts[name] for name in chosen}


def _name(facts: dict[str, Any], owner: str = "") -> str:
    """An owner comes last: nobody can name himself, or a tag, like another list."""
    told = [f"{letter}={facts[name]}" for name, letter in _LETTERS.items() if name in facts]
    return "&".join((*told, *([owner] if owner else []))) or "all"


def _told_of(task: Task) -> str:
    """Its facts in digits, and whose it is."""
    return digits_of(task) + json.dumps([task.created_by, *task.tags], separators=(",", ":"), ensure_ascii=False)


def _is_bare(row: Row) -> bool:
    return row.told is None
