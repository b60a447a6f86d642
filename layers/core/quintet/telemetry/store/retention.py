"""How long points are kept: as many days as were asked for minutes, much longer for hours and days, which are few."""

import time
from datetime import timedelta

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from quintet.copies import forget_in_copies
from quintet.settings import settings
from quintet.store import wire
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together
from quintet.telemetry.series import Step
from quintet.telemetry.shapes import RETENTION

DEFAULT_DAYS = 7
_HOURS = timedelta(days=400)
_DAYS = timedelta(days=3650)
_KEY = "retention"
_FRESH_SECONDS = 60.0
_known: dict[str, tuple[float, int]] = {}
forget_in_copies(_known.clear)


class RetentionItem(Table):
    shape = RETENTION

    class Meta:
        table_name = TableName("series")

    pk = UnicodeAttribute(hash_key=True, default=_KEY)
    sk = UnicodeAttribute(range_key=True, default=_KEY)
    days = NumberAttribute()


def kept_for(step: Step, days: int) -> timedelta:
    own = timedelta(days=days)
    return own if step is Step.MINUTE else max(own, _HOURS if step is Step.HOUR else _DAYS)


async def retention() -> int:
    """In days, at most a minute old."""
    table = settings().table("series")
    until, days = _known.get(table, (0.0, 0))
    if time.monotonic() < until:
        return days
    answer = await wire.call("GetItem", {"TableName": table, "Key": wire.to_item({"pk": _KEY, "sk": _KEY})})
    days = int(RETENTION.row(answer["Item"])["days"]) if "Item" in answer else DEFAULT_DAYS
    _known[table] = (time.monotonic() + _FRESH_SECONDS, days)
    return days


def retain(days: int, *also: Write) -> None:
    """For points that are added from now on."""
    item = RetentionItem(days=days)
    write_together([lambda transaction: transaction.save(item), *also])
    _known.pop(settings().table("series"), None)
