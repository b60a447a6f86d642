"""How the admin API reads what telemetry keeps."""

from collections.abc import Mapping
from datetime import datetime

from admin.access import invalid
from quintet.store.pages import Page, Paging
from quintet.telemetry.series import Point, Series, Step
from quintet.telemetry.store import books
from quintet.telemetry.store.log import Item, Log, Wanted


class CountedTable:
    """The series table; `read` tells what the questions cost."""

    def __init__(self) -> None:
        self.read = books.Read()

    async def points(self, series: Series, step: Step, start: datetime, end: datetime) -> list[Point]:
        return await books.points(series, step, start, end, self.read)

    async def totals(self, family: str) -> Mapping[Series, Point]:
        return await books.totals(family, self.read)


async def page_of(log: Log, paging: Paging, now: datetime, wanted: Wanted | None = None) -> Page[Item]:
    try:
        return await log.page(paging, now, wanted)
    except ValueError:
        raise invalid("cursor", "Must be the next_cursor of the page before") from None
