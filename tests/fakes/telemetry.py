"""The series table in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from quintet.telemetry.rollup import Additions, Place, Receipt, Receipts
from quintet.telemetry.series import Point, Series, Step, added


@dataclass
class FakeBooks:
    """`faults` are how the next entries end: `lost` happens and tells nobody, `failed` does not happen."""

    rows: dict[Place, list[Receipt]] = field(default_factory=dict)
    kept: dict[tuple[Series, Step | None, str], dict[str, int]] = field(default_factory=dict)
    faults: list[str | None] = field(default_factory=list)
    last: dict[Series, datetime] = field(default_factory=dict)
    entries: int = 0

    async def receipts(self, place: Place) -> Receipts:
        row = self.rows.get(place, [])
        return Receipts(len(row), frozenset(mark for receipt in row for mark in receipt.marks))

    async def enter(self, receipts: Sequence[Receipt], additions: Additions, now: datetime) -> bool:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "failed":
            raise ConnectionError
        if any(len(self.rows.get(each.place, [])) >= each.number for each in receipts):
            return False
        for receipt in receipts:
            self.rows.setdefault(receipt.place, []).append(receipt)
        for target, amounts in additions.items():
            key = (target.series, target.step, target.place if target.step else "")
            self.kept[key] = added(self.kept.get(key, {}), amounts)
            if target.step is None:
                at = Step.MINUTE.start(target.place)
                self.last[target.series] = max(at, self.last.get(target.series, at))
        self.entries += 1
        if fault == "lost":
            raise ConnectionError
        return True

    async def points(self, series: Series, step: Step, start: datetime, end: datetime) -> list[Point]:
        places = sorted(place for known, at, place in self.kept if (known, at) == (series, step))
        within = [place for place in places if step.place(start) <= place <= step.place(end)]
        return [Point(step.start(place), self.kept[series, step, place]) for place in within]

    async def totals(self, family: str) -> dict[Series, Point]:
        found = {key[0]: sums for key, sums in self.kept.items() if key[0].family == family and key[1] is None}
        return {series: Point(self.last[series], sums) for series, sums in found.items()}
