"""What the request log and the series tell of the last minute, of vendors and of integrations."""

from datetime import datetime

from quintet.ask.connectors import Heard
from quintet.ask.figures import MINUTE, Minute, minute_of
from quintet.store.ids import made_at
from quintet.telemetry.rules import CALLS, ENDPOINTS, LOG
from quintet.telemetry.shapes import RECORD
from quintet.telemetry.store.books import totals
from quintet.telemetry.store.log import Log

_MOST_RECORDS = 2000  # of a minute: what is beyond is extrapolated
_LOG = Log("requests", "record_id", LOG, RECORD)


async def minute(now: datetime) -> Minute:
    since, records = now - MINUTE, []
    async for record in _LOG.newest(now):
        at = made_at(record["record_id"])
        if at < since:
            break
        records.append(record)
        if len(records) == _MOST_RECORDS:
            return minute_of(records, max((now - at).total_seconds(), 0.001))
    return minute_of(records)


async def calls() -> dict[str, datetime]:
    """When each vendor was last called, to the minute."""
    found: dict[str, datetime] = {}
    for series, point in (await totals(CALLS)).items():
        provider = series["provider"]
        found[provider] = max(point.at, found.get(provider, point.at))
    return found


async def heard() -> list[Heard]:
    return [
        Heard(series["endpoint"], well=point.at)
        if series["status"] == "success"
        else Heard(series["endpoint"], ill=point.at)
        for series, point in (await totals(ENDPOINTS)).items()
    ]
