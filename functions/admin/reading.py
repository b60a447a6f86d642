"""How the admin API reads what telemetry keeps."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from quintet.http.cursors import cursor_of, foreign_cursor, place_of
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
        page = await log.page(replace(paging, after=place_of(paging.after)), now, wanted)
    except ValueError:
        raise foreign_cursor() from None
    return replace(page, after=cursor_of(page.after))
