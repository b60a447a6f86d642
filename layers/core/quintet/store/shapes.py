"""Items by the number of their shape: an older one is lifted as it is read, and the next write writes the newest.

Every room says in its `shapes.py` which kinds of items it keeps, and how one shape becomes the next. What only counts,
claims, points or lasts for hours has no number. docs/operations.md has the rules of a change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quintet.errors import Failure, Kind
from quintet.store.items import from_item, to_item

NUMBER = "v"
_FIRST = 1  # also of items that were written before there were numbers
_DEPLOY_SECONDS = 5.0

Row = Mapping[str, Any]
Step = Callable[[dict[str, Any]], dict[str, Any]]
"""Pure. Takes any part of an item, for an index may hold no more of it; the number is none of its business."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`up[0]` makes the second shape of the first; `down[0]` makes ours of the one that the next version writes.

    `in_place` are the attributes that updates write without having read the item: they mean the same in every shape.
    """

    kind: str
    up: tuple[Step, ...] = ()
    down: tuple[Step, ...] = ()
    in_place: frozenset[str] = frozenset()

    @property
    def number(self) -> int:
        return _FIRST + len(self.up)

    def has(self, item: Mapping[str, Any]) -> bool:
        """Whether typed JSON is of our shape as it is."""
        return int(item[NUMBER]["N"] if NUMBER in item else _FIRST) == self.number

    def item(self, row: Row) -> dict[str, Any]:
        """As DynamoDB's typed JSON has it, with its number."""
        return to_item(self.numbered(row))

    def row(self, item: Mapping[str, Any]) -> Row:
        """The plain values of typed JSON, in our shape. Raises what `read` raises."""
        return self.read(from_item(item))

    def numbered(self, row: Row) -> dict[str, Any]:
        return {**row, NUMBER: self.number}

    def read(self, row: Row) -> Row:
        """In our shape. Nothing stays nothing.

        Raises Failure for a shape that this version does not know: half of what it reads would be written back.
        """
        found = row.get(NUMBER, _FIRST)
        if found == self.number or not row:
            return row
        known = self.number + len(self.down)
        if found > known:
            raise Failure(
                Kind.UNAVAILABLE,
                f"This {self.kind} is of shape {found}, and this version reads up to {known}: deploy a newer one",
                retry_after=_DEPLOY_SECONDS,
            )
        steps = self.up[found - _FIRST :] if found < self.number else self.down[: found - self.number][::-1]
        for step in steps:
            row = self._taken(step, row)
        return self.numbered(row)

    def _taken(self, step: Step, row: Row) -> dict[str, Any]:
        after = step(dict(row))
        changed = [name for name in sorted(self.in_place) if after.get(name) != row.get(name)]
        assert not changed, f"a step changes what is written in place of every {self.kind}: {', '.join(changed)}"
        return after
