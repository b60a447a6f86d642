"""The time series: /admin/v1/tsdb/*."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from admin.access import Admin
from admin.reading import CountedTable
from quintet.errors import invalid
from quintet.events.audit import audited
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.store.transactions import Write, write_together
from quintet.telemetry.query import METRICS, MOST_POINTS, Question, answer, millis_of, moment_of
from quintet.telemetry.rules import STEPS
from quintet.telemetry.series import Step
from quintet.telemetry.store import books
from quintet.telemetry.store.retention import kept_for, retain, retention

router = APIRouter(prefix="/admin/v1/tsdb")

_MINUTE_MS = 60_000
Word = Annotated[str | None, Query(min_length=1, max_length=200)]


class Retention(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    days: int = Field(ge=1, le=3650)


@router.get("/query")
async def query(
    request: Request,
    _admin: Admin,
    metric: Word = None,
    model: Word = None,
    provider: Word = None,
    start: Word = None,
    end: Word = None,
    step: Annotated[int, Query(ge=1, le=366 * 86_400_000)] = _MINUTE_MS,
) -> Json:
    """The last hour in minutes, unless asked otherwise. `read` is what the answer cost: items and pages."""
    now = exchange_of(request).at
    if metric is None:
        raise invalid("metric", "Field required")
    if metric not in METRICS:
        raise invalid("metric", f"Must be one of: {', '.join(METRICS)}")
    until = _moment("end", end) if end else now
    since = _moment("start", start) if start else until - timedelta(hours=1)
    if since > until:
        raise invalid("start", "Must not be after end")
    length = timedelta(milliseconds=-(-step // _MINUTE_MS) * _MINUTE_MS)
    question = Question(metric, since, until, length, model, provider)
    if question.points > MOST_POINTS:
        raise invalid("step", f"Makes more than {MOST_POINTS} points: ask for longer steps, or for less")
    minutes_since = now - timedelta(days=await retention())
    counted = CountedTable()
    series = await answer(counted, question, minutes_since=minutes_since)
    cost = {"items": counted.read.items, "pages": counted.read.pages}
    return Json({"series": series, "step": millis_of(length), "read": cost})


@router.get("/metrics")
async def metrics(_admin: Admin) -> Json:
    details = {name: {"unit": metric.unit, "description": metric.tells} for name, metric in METRICS.items()}
    return Json({"metrics": list(METRICS), "details": details})


@router.get("/retention")
async def kept(_admin: Admin) -> Json:
    return Json(_kept(await retention()))


@router.put("/retention")
async def keep(wanted: Retention, admin: Admin) -> Json:
    """For what is counted from now on; `prune` applies it to what there is."""
    told = audited("tsdb.retention", "tsdb", {"days": wanted.days}, admin.id)
    await offload(retain, wanted.days, told)
    return Json(_kept(wanted.days))


@router.post("/prune")
async def prune(request: Request, admin: Admin) -> Json:
    """Deletes at once what the retention in force lets go of: DynamoDB's own time to live takes up to two days."""
    now = exchange_of(request).at
    days = await retention()
    deleted = 0
    for family, steps in STEPS.items():
        for step in steps:
            deleted += await books.remove(family, step, now - kept_for(step, days))
    await offload(_tell, audited("tsdb.pruned", "tsdb", {"deleted": deleted}, admin.id))
    return Json({"deleted": deleted})


def _tell(write: Write) -> None:
    write_together([write])


def _kept(days: int) -> dict[str, int]:
    hours, long = (kept_for(step, days).days for step in (Step.HOUR, Step.DAY))
    return {"days": days, "hourly_days": hours, "daily_days": long}


def _moment(field: str, text: str) -> datetime:
    try:
        return moment_of(text)
    except (ValueError, OverflowError):
        raise invalid(field, "Must be RFC 3339 with a time zone, or Unix milliseconds") from None
