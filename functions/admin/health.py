"""How the providers do: /admin/v1/health."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request

from admin.access import Admin
from admin.reading import CountedTable
from quintet.gateway.live import views
from quintet.gateway.present import Health
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.store.clock import iso
from quintet.telemetry.rules import CALLS, FAILURES
from quintet.telemetry.series import Point, Series, Step, summed

router = APIRouter(prefix="/admin/v1/health")

_SMOOTHING = 0.2  # how much the newest minute weighs


@router.get("")
async def health(request: Request, _admin: Admin) -> Json:
    now, counted = exchange_of(request).at, CountedTable()
    view, calls, failures = await asyncio.gather(views().current(), counted.totals(CALLS), counted.totals(FAILURES))
    known = {*view.catalogue.providers, *(series["provider"] for series in calls)}
    told = [
        _told(
            name,
            view.present.of(name),
            [point for series, point in calls.items() if series["provider"] == name],
            [point for series, point in failures.items() if series["provider"] == name],
            await _recent(counted, [series for series in calls if series["provider"] == name], now),
        )
        for name in sorted(known)
    ]
    return Json({"providers": told})


async def _recent(counted: CountedTable, series: Iterable[Series], now: datetime) -> list[Point]:
    """A day in minutes would be much to read: the last hour, and before it the hours of a day."""
    since = Step.HOUR.start(Step.HOUR.place(now - Step.HOUR.length))
    found: list[Point] = []
    for each in series:
        found += await counted.points(each, Step.HOUR, now - Step.DAY.length, since - Step.MINUTE.length)
        found += await counted.points(each, Step.MINUTE, since, now)
    return sorted(found, key=lambda point: point.at)


def _told(
    name: str, health: Health, calls: Iterable[Point], failures: Iterable[Point], recent: list[Point]
) -> dict[str, Any]:
    total, failed = summed(calls), summed(failures)
    good = [point.at for point in recent if point["n"] > point["errors"]]
    return {
        "provider_id": name,
        "state": health.state.value,
        "total_requests": total.get("n", 0),
        "total_errors": failed.get("n", 0),
        "consec_errors": health.errors,
        "avg_latency_ms": round(smoothed(recent), 3),
        "last_error": health.last_error,
        "last_error_time": iso(health.last_error_at) if health.last_error_at else None,
        "last_success_at": iso(good[-1]) if good else None,
        "cooldown_until": iso(health.cooldown_until) if health.cooldown_until else None,
    }


def smoothed(points: Iterable[Point]) -> float:
    """An exponentially weighted mean over points in the order of time, in milliseconds."""
    mean: float | None = None
    for point in points:
        if point["n"]:
            latest = point["latency"] / point["n"] / 1000
            mean = latest if mean is None else mean + _SMOOTHING * (latest - mean)
    return mean or 0.0
