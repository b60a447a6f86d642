"""The emulator's partitions in order: a query looks at what it answers, as DynamoDB's does.

MiniStack sorts the whole partition for every query, and looks at each of its items. Here the items of a partition that
was once queried are kept in order, and it is shown the stretch of them that the query is about; it goes on from there
as it always does, so nothing but the time is different. What we cannot read it handles alone.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from infra.local.mending import Changed, replace, rewrite

Item = dict[str, Any]
Entry = tuple[tuple[Any, ...], Any, Any]  # what it is sorted by, and the two keys under which the table has it
Token = tuple[str, str]

# In the table's own record of its indexes' members: that is dropped whenever items are replaced wholesale.
_ORDERED = "in order"
_USED = (
    "_INDEX_MEMBERS",
    "_extract_key_val",
    "_get_attr_type",
    "_index_key_lists",
    "_index_def",
    "_index_members",
    "_index_order_keys",
    "_index_order_value",
    "_index_partition",
    "_key_condition_clauses",
    "_sort_key_value",
    "_tokenize",
)
_TURNED = {"LT": "GT", "LE": "GE", "GT": "LT", "GE": "LE", "EQ": "EQ"}
_MEMBERS = "    members = _index_members(table).get(index_name) if index_name else None\n"


def apply(dynamodb: ModuleType) -> None:
    for name in _USED:
        if not hasattr(dynamodb, name):
            raise Changed(f"{dynamodb.__name__}.{name}")
    partitions = Partitions(dynamodb)
    replace(dynamodb, "_set_item", partitions.told_of(dynamodb._set_item))  # noqa: SLF001
    replace(dynamodb, "_remove_item", partitions.told_of(dynamodb._remove_item))  # noqa: SLF001
    dynamodb._stretch = partitions.stretch  # type: ignore[attr-defined]  # noqa: SLF001 - for the function edited below
    rewrite(
        dynamodb,
        "_query",
        f"{_MEMBERS}    if members is not None:\n",
        "    stretch = None if multi_key or key_conditions else _stretch(\n"
        "        table, index_name, pk_val, _key_condition_clauses(_tokenize(key_cond)), eav, ean,\n"
        "        esk, scan_forward, limit)\n"
        f"{_MEMBERS}    if stretch is not None:\n        candidates = stretch\n    elif members is not None:\n",
    )
    rewrite(
        dynamodb, "_query", "    elif key_cond:\n        try:", "    elif key_cond and stretch is None:\n        try:"
    )


@dataclass(frozen=True, slots=True)
class _Bound:
    """`first` and `last` answer where a stretch of entries begins and ends."""

    first: Callable[[Sequence[Entry]], int] = lambda _entries: 0
    last: Callable[[Sequence[Entry]], int] = len


class Partitions:
    def __init__(self, dynamodb: ModuleType) -> None:
        self._db: Any = dynamodb
        self._lock = threading.RLock()  # items that have expired are removed in a thread

    def stretch(
        self,
        table: Any,
        index: str | None,
        partition: Any,
        clauses: Sequence[Sequence[Token]],
        values: Item,
        names: dict[str, str],
        start: Item | None,
        forward: bool,
        limit: Any,
    ) -> list[Item] | None:
        """The items that this query looks at, in order; None where we cannot tell."""
        ranges = self._ranges(table, index)
        if not ranges and index is None:
            return None  # a partition is a single item
        bound = self._bound(table, ranges, clauses, values, names)
        if bound is None:
            return None
        with self._lock:
            entries = self._entries(table, index, partition, ranges)
            first, last = bound.first(entries), bound.last(entries)
            if start and forward:
                first = max(first, bisect_right(entries, self._place(table, ranges, start), key=_sorted_by))
            elif start:
                last = min(last, bisect_left(entries, self._place(table, ranges, start), key=_sorted_by))
            if limit is not None and forward:
                last = min(last, first + int(limit))
            elif limit is not None:
                first = max(first, last - int(limit))
            kept = table["items"]
            return [kept[one][other] for _, one, other in entries[first : max(first, last)]]

    def told_of(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def writing(table: Any, one: Any, other: Any, *item: Item) -> Any:
            with self._lock:
                before = write(table, one, other, *item)
                self._moved(table, one, other, before, item[0] if item else None)
                return before

        return writing

    def _moved(self, table: Any, one: Any, other: Any, before: Item | None, after: Item | None) -> None:
        members = table.get(self._db._INDEX_MEMBERS)  # noqa: SLF001
        for index, partitions in (members or {}).get(_ORDERED, {}).items():
            ranges = self._ranges(table, index)
            gone, come = (self._entry(table, index, ranges, one, other, item) for item in (before, after))
            if gone == come:
                continue
            if gone is not None and gone[0] in partitions:
                entries = partitions[gone[0]]
                place = bisect_left(entries, gone[1])
                if entries[place : place + 1] != [gone[1]]:
                    members.pop(
                        _ORDERED
                    )  # somebody has changed an item in place: all is sorted anew when it is asked for
                    return
                del entries[place]
                if not entries:
                    del partitions[gone[0]]
            if come is not None and come[0] in partitions:
                insort(partitions[come[0]], come[1])

    def _entry(
        self, table: Any, index: str | None, ranges: list[str], one: Any, other: Any, item: Item | None
    ) -> tuple[Any, Entry] | None:
        """Its partition, and what it is there."""
        if item is None:
            return None
        partition = one
        if index is not None:
            hashes, _ = self._db._index_key_lists(self._db._index_def(table, index))  # noqa: SLF001
            partition = self._db._index_partition(item, hashes, ranges)  # noqa: SLF001
        return None if partition is None else (partition, (self._place(table, ranges, item), one, other))

    def _entries(self, table: Any, index: str | None, partition: Any, ranges: list[str]) -> list[Entry]:
        members = self._db._index_members(table)  # noqa: SLF001
        known = members.setdefault(_ORDERED, {}).setdefault(index, {})
        if partition not in known:
            kept = table["items"]
            if index is None:
                keys = [(partition, other) for other in kept.get(partition, ())]
            else:
                keys = [*members[index].get(partition, ())]
            entries = sorted((self._place(table, ranges, kept[one][other]), one, other) for one, other in keys)
            if not entries:
                return []  # there may be many such questions
            known[partition] = entries
        found: list[Entry] = known[partition]
        return found

    def _ranges(self, table: Any, index: str | None) -> list[str]:
        if index is None:
            return [table["sk_name"]] if table["sk_name"] else []
        _, ranges = self._db._index_key_lists(self._db._index_def(table, index))  # noqa: SLF001
        return list(ranges)

    def _place(self, table: Any, ranges: list[str], item: Item) -> tuple[Any, ...]:
        keys = self._db._index_order_keys(table, ranges)  # noqa: SLF001
        return tuple(self._db._index_order_value(item, name, kind) for name, kind in keys)  # noqa: SLF001

    def _bound(
        self, table: Any, ranges: list[str], clauses: Sequence[Sequence[Token]], values: Item, names: dict[str, str]
    ) -> _Bound | None:
        """Of the sort key's condition."""
        bound = _Bound()
        for clause in clauses:
            kinds = [kind for kind, _ in clause]
            words = [names.get(word, "") if kind == "NAME_REF" else word for kind, word in clause]
            given = [values[word] for kind, word in clause if kind == "VALUE_REF"]
            if len(clause) == 3 and kinds[0] == "VALUE_REF" and kinds[1] in _TURNED:
                relation, name = _TURNED[kinds[1]], words[2]
            elif len(clause) == 3 and kinds[2] == "VALUE_REF" and kinds[1] in _TURNED:
                relation, name = kinds[1], words[0]
            elif len(clause) == 5 and words[1].upper() == "BETWEEN" and len(given) == 2:
                relation, name = "BETWEEN", words[0]
            elif len(clause) == 6 and words[0].lower() == "begins_with" and kinds[4] == "VALUE_REF":
                relation, name = "BEGINS", words[2]
            else:
                return None
            if [name] != ranges:
                if relation != "EQ":
                    return None
                continue  # the partition's
            kind = self._db._get_attr_type(table, name)  # noqa: SLF001
            bound = _bound_of(relation, [self._db._sort_key_value(value, kind) for value in given])  # noqa: SLF001
        return bound


def _bound_of(relation: str, values: list[Any]) -> _Bound:
    low, high = values[0], values[-1]

    def at_least(entries: Sequence[Entry]) -> int:
        return bisect_left(entries, low, key=_by_range)

    def at_most(entries: Sequence[Entry]) -> int:
        return bisect_right(entries, high, key=_by_range)

    match relation:
        case "GT":
            return _Bound(first=lambda entries: bisect_right(entries, low, key=_by_range))
        case "GE":
            return _Bound(first=at_least)
        case "LT":
            return _Bound(last=lambda entries: bisect_left(entries, high, key=_by_range))
        case "LE":
            return _Bound(last=at_most)
        case "BEGINS":
            size = len(low)
            return _Bound(
                first=at_least,
                last=lambda entries: bisect_right(entries, low, key=lambda entry: _by_range(entry)[:size]),
            )
        case _:
            return _Bound(first=at_least, last=at_most)


def _sorted_by(entry: Entry) -> tuple[Any, ...]:
    return entry[0]


def _by_range(entry: Entry) -> Any:
    return entry[0][0]
