"""Where a task stands in the lists, pure: every combination of filters is a partition of its own, in four orders.

A list must read what it answers and no more, whatever the filters and the order, and must know its total. So a task has
a row (two short keys, nothing else) in the partition of each of the 16 combinations of status, type, priority and role:
a page is one Query of keys, and one read of the tasks it names. In those of its creator, alone and with each one of
these facts, and of each of its tags, it has entries: they tell what lists show, and a page is one Query of them.

Places in the order of priorities begin with the priority's rank: a priority in the order of creation is a stretch of
them, and needs no partition. Deadlines begin with the tasks that have none: from the end on they come last, as they
should; the other way they are a second Query, if the first has not filled the page.

What is asked of a creator or a tag beyond that, or of several tags, would be partitions without number. Such a list is
picked from the entries of the creator, or of one tag (the rarest), in its order: some 20 of them are a unit.

Rows are written in the transaction that changes the task, so a list is as consistent as the task. They are never shared
between tasks, so transactions do not cancel each other. What that costs: creating a task with three tags writes some 90
items, a change of status 120, a step forward 75, 0.015 cents at the most. A transaction takes 100: what is more (of old
rows at first) goes after it, and readers pass over a row whose task has left the list. Entries are always in it.
Secondary indexes were no way: a table has 20 at the most, each with one order, and they lag behind.

The busiest partition, all tasks by creation, takes two writes a task: some 500 new tasks a second.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations, filterfalse, islice
from typing import Any, NamedTuple

from quintet.store.clock import millis, sortable
from quintet.tasks.model import PRIORITIES, Filters, Order, SortBy, Status, Task
from quintet.tasks.store.entries import tells_all, told_of

RUNNING = "running"  # tasks that an execution works on, those first that have not moved for longest
WHOLE = (" ", "~~")
_NONE_YET = "-"  # before every digit: from the end on, what has no deadline comes last
_LETTERS = {"status": "s", "type": "t", "priority": "p", "role": "r"}
_ALL, _OF_CREATOR, _OF_TAG = 4, 1, 0  # of these, so many together have partitions: of all tasks, an owner's, a tag's
_BY_RANK = (SortBy.CREATED, SortBy.PRIORITY)  # of one priority both are the order of creation
_PLACES = {
    SortBy.CREATED: re.compile(r"\d{15}#"),
    SortBy.UPDATED: re.compile(r"\d{15}#"),
    SortBy.PRIORITY: re.compile(r"\d{16}#"),
    SortBy.DEADLINE: re.compile(rf"{_NONE_YET}?\d{{15}}#"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """`told` makes it an entry. Some are `believed`: nobody reads the task beside them."""

    list: str
    place: str
    told: str | None = None
    believed: bool = field(default=False, compare=False)


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

    @property
    def tells(self) -> bool:
        """Whether its rows are entries."""
        return self.holds.created_by is not None or bool(self.holds.tags)


def rows_of(task: Task) -> frozenset[Row]:
    places = {sort: place_of(task, sort) for sort in SortBy}
    rows: set[Row] = set()
    owners = [("", _ALL), (f"c={task.created_by}", _OF_CREATOR), *((f"g={tag}", _OF_TAG) for tag in task.tags)]
    told = told_of(task)
    for owner, most in owners:
        entry = (told, tells_all(told)) if owner else (None, False)
        for facts in _combinations(task, most):
            orders = [SortBy.UPDATED, SortBy.DEADLINE] if "priority" in facts else SortBy
            rows |= {Row(f"{_name(facts, owner)}|{sort}", places[sort], *entry) for sort in orders}
    if task.run and not task.ended:
        rows.add(Row(RUNNING, places[SortBy.UPDATED], believed=True))
    if task.submission is not None and not task.ended:
        working = task.run > 0 and task.status is Status.IN_PROGRESS
        name = (working_list if working else waiting_list)(task.submission.role)
        rows.add(Row(name, places[SortBy.CREATED], believed=True))
    return frozenset(rows)


class Move(NamedTuple):
    """A row that is written, or else is left."""

    row: Row
    comes: bool


def moves_of(before: Task | None, after: Task) -> tuple[list[Move], list[Move]]:
    """Those that belong into its transaction, of rows that are believed or told anew; and the others, first those of
    lists that the task stays in. The last of these may come before the transaction or go after it: readers see that the
    task is not in such a list, not yet or no more.
    """
    was = {(row.list, row.place): row for row in rows_of(before)} if before else {}
    now = {(row.list, row.place): row for row in rows_of(after)}
    both = was.keys() & now.keys()
    stays = {name for name, _ in was} & {name for name, _ in now}
    moves = [Move(row, comes=True) for key, row in now.items() if was.get(key) != row]
    moves += [Move(row, comes=False) for key, row in was.items() if key not in now]

    def bound(move: Move) -> bool:
        return move.row.believed or (move.row.list, move.row.place) in both

    others = sorted(filterfalse(bound, moves), key=lambda move: (move.row.list not in stays, not move.comes))
    return list(filter(bound, moves)), others


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
    sources = [_source_of(Filters(tags=(tag,)), f"g={tag}", _OF_TAG, filters, order) for tag in filters.tags]
    if filters.created_by is not None:
        creator = Filters(created_by=filters.created_by)
        sources.append(_source_of(creator, f"c={filters.created_by}", _OF_CREATOR, filters, order))
    return tuple(sources) or (_source_of(Filters(), "", _ALL, filters, order),)


def _source_of(owner: Filters, name: str, most: int, filters: Filters, order: Order) -> Source:
    """The one that holds most of what is asked: a priority in the order of creation takes no partition."""
    asked = _asked(filters)
    by_rank = {"priority": asked.pop("priority")} if "priority" in asked and order.by in _BY_RANK else {}
    facts = dict(islice(asked.items(), most)) | by_rank
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


def _combinations(task: Task, most: int) -> Iterator[dict[str, Any]]:
    facts = {
        "status": str(task.status),
        "type": task.type,
        "priority": task.priority,
        **({"role": task.assignee_role} if task.assignee_role else {}),
    }
    for size in range(min(most, len(facts)) + 1):
        for chosen in combinations(facts, size):
            yield {name: facts[name] for name in chosen}


def _name(facts: dict[str, Any], owner: str = "") -> str:
    """An owner comes last: nobody can name himself, or a tag, like another list."""
    told = [f"{letter}={facts[name]}" for name, letter in _LETTERS.items() if name in facts]
    return "&".join((*told, *([owner] if owner else []))) or "all"
