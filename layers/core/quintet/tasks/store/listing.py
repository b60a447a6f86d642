"""Where a task stands in the lists, pure: every combination of filters is a partition of its own, in three orders.

A list must read what it answers and no more, whatever the filters and the order, and must know its total. So a task has
a row (two short keys, nothing else) in the partition of each of the 16 combinations of status, type, priority and role,
and in those of its creator; tags have partitions too. A page is one Query of keys and one read of the tasks it names.
Rows are written in the transaction that changes the task, so a list is as consistent as the task. They are never shared
between tasks, so transactions do not cancel each other. What that costs: creating a task writes some 60 items, a change
of status some 75, a step forward 40, a hundredth of a cent at the most; a transaction takes 100, which is why there are
at most 16 tags. (A change of nearly everything at once is more: then new rows are written before it, old ones go after
it, and readers pass over a row whose task has left it.) Secondary indexes were no way: a table has 20 at the most, each
with one order, and they lag behind.

The busiest partition, all tasks by creation, takes two writes a task: some 500 new tasks a second.

Priorities are four: that order is four partitions read one after the other. Creators and tags have no combinations of
their own: what else is asked of them is sifted from their rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from quintet.store.clock import millis
from quintet.tasks.model import PRIORITIES, Filters, Order, SortBy, Status, Task

RUNNING = "running"  # tasks that an execution works on, those first that have not moved for longest
_NONE_YET = "~"  # after every digit: what has no deadline comes last
WHOLE = (" ", "~~")
_LETTERS = {"status": "s", "type": "t", "priority": "p", "role": "r"}


@dataclass(frozen=True, slots=True)
class Row:
    list: str
    place: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one partition, `first` to `last`."""

    list: str
    first: str = WHOLE[0]
    last: str = WHOLE[1]


@dataclass(frozen=True, slots=True)
class Plan:
    """Segments to be read one after the other. `sifted` says that rows may name tasks that do not fit.

    `sorted_after` says that they have to be read whole, and put in order then.
    """

    segments: tuple[Segment, ...]
    sifted: bool = False
    sorted_after: bool = False


def rows_of(task: Task) -> frozenset[Row]:
    places = {sort: place_of(task, sort) for sort in (SortBy.CREATED, SortBy.UPDATED, SortBy.DEADLINE)}
    lists = [*_combinations(task), f"c={task.created_by}", f"c={task.created_by}&s={task.status}"]
    rows = {Row(f"{name}|{sort}", place) for name in lists for sort, place in places.items()}
    rows |= {Row(f"g={tag}|{SortBy.CREATED}", places[SortBy.CREATED]) for tag in task.tags}
    if task.run and not task.ended:
        rows.add(Row(RUNNING, places[SortBy.UPDATED]))
    if task.submission is not None and not task.ended:
        working = task.run > 0 and task.status is Status.IN_PROGRESS
        rows.add(Row((working_list if working else waiting_list)(task.submission.role), places[SortBy.CREATED]))
    return frozenset(rows)


def working_list(role: str) -> str:
    """What agents of a role are working on."""
    return f"working|{role}"


def waiting_list(role: str) -> str:
    """What they have been given, and have not begun."""
    return f"waiting|{role}"


def place_of(task: Task, sort: SortBy) -> str:
    created = f"{millis(task.created_at):014d}#{task.id}"
    if sort is SortBy.UPDATED:
        return f"{millis(task.updated_at):014d}#{task.id}"
    if sort is SortBy.DEADLINE:
        return f"{millis(task.deadline):014d}#{task.id}" if task.deadline else f"{_NONE_YET}{created}"
    return created


def task_at(place: str) -> str:
    return place.partition("#")[2]


def plan_of(filters: Filters, order: Order) -> Plan:
    if filters.tags:
        alone = filters == Filters(tags=filters.tags[:1])
        by_creation = order.by is SortBy.CREATED
        return Plan((Segment(f"g={filters.tags[0]}|{SortBy.CREATED}"),), not alone, sorted_after=not by_creation)
    if filters.created_by is not None:
        name = f"c={filters.created_by}" + (f"&s={filters.status}" if filters.status else "")
        sifted = filters != Filters(status=filters.status, created_by=filters.created_by)
        if order.by is SortBy.PRIORITY:
            return Plan((Segment(f"{name}|{SortBy.CREATED}"),), sifted, sorted_after=True)
        return Plan(_segments(name, order), sifted)
    if order.by is SortBy.PRIORITY:
        wanted = [filters.priority] if filters.priority else list(PRIORITIES)
        names = [_name(_asked(filters) | {"priority": each}) for each in wanted]
        if order.descending:
            names.reverse()
        return Plan(tuple(Segment(f"{name}|{SortBy.CREATED}") for name in names))
    return Plan(_segments(_name(_asked(filters)), order))


def sort_key(task: Task, order: Order) -> tuple[int, str]:
    """For tasks that are put in order after reading; with `descending` this is to be reversed."""
    if order.by is SortBy.PRIORITY:
        return PRIORITIES.index(task.priority), place_of(task, SortBy.CREATED)
    if order.by is SortBy.DEADLINE:
        last = task.deadline is None
        return (0 if last else 1) if order.descending else (1 if last else 0), place_of(task, order.by)
    return 0, place_of(task, order.by)


def cell_of(task: Task) -> str:
    """The cell of the histogram that counts this task: see store/counts.py."""
    return "&".join(str(value) for value in _facts(task).values())


def _facts(task: Task) -> dict[str, str]:
    return {
        "status": task.status,
        "type": task.type,
        "priority": task.priority,
        "role": task.assignee_role or "",
    }


def fitting_cells(filters: Filters) -> Callable[[str], bool]:
    """Whether the tasks of a cell fit. There are many cells: what is not asked for is not looked at."""
    asked = (filters.status, filters.type, filters.priority, filters.role)
    wanted = [(place, str(value)) for place, value in enumerate(asked) if value is not None]

    def fits(cell: str) -> bool:
        has = cell.split("&")
        return all(has[place] == value for place, value in wanted)

    return fits if wanted else lambda _cell: True


def _asked(filters: Filters) -> dict[str, str]:
    asked = {"status": filters.status, "type": filters.type, "priority": filters.priority, "role": filters.role}
    return {name: value for name, value in asked.items() if value is not None}


def _segments(name: str, order: Order) -> tuple[Segment, ...]:
    partition = f"{name}|{order.by}"
    if order.by is SortBy.DEADLINE:
        return Segment(partition, " ", "9~"), Segment(partition, _NONE_YET, "~~")
    return (Segment(partition),)


def _combinations(task: Task) -> Iterator[str]:
    facts = {name: value for name, value in _facts(task).items() if value}
    for size in range(len(facts) + 1):
        for chosen in combinations(facts, size):
            yield _name({name: facts[name] for name in chosen})


def _name(facts: dict[str, str]) -> str:
    return "&".join(f"{letter}={facts[name]}" for name, letter in _LETTERS.items() if name in facts) or "all"
