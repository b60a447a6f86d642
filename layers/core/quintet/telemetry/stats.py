"""Figures over the last minute, five minutes, hour and day, per model and provider and of all."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.telemetry.histogram import quantile
from quintet.telemetry.rules import CALLS, GROUPS
from quintet.telemetry.series import Amounts, Point, Series, Step, added, classes, summed

WINDOWS: Mapping[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
}
_NANO = 1_000_000_000
_SLACK = timedelta(hours=24)  # a late record may have set a series' last minute back

ByWindow = Mapping[str, Amounts]


class Counted(Protocol):
    async def points(self, series: Series, step: Step, start: datetime, end: datetime, /) -> list[Point]: ...

    async def totals(self, family: str, /) -> Mapping[Series, Point]: ...


async def stats(counted: Counted, now: datetime) -> dict[str, Any]:
    """A window is whole minutes: those that lie in it, even in part."""
    calls, groups = await asyncio.gather(_family(counted, CALLS, now), _family(counted, GROUPS, now))
    return {
        "global": _told(_together(calls.values())),
        "by_model": _by(calls, "model"),
        "by_provider": _by(calls, "provider"),
        "by_group": _by(groups, "group"),
    }


async def last_minute(counted: Counted, group: str, now: datetime) -> dict[str, float]:
    """How one group of the API did in the minute that ends now, the running one included."""
    start = now - WINDOWS["1m"]
    amounts = summed(await counted.points(Series.of(GROUPS, group=group), Step.MINUTE, start, now))
    told = figures(amounts)
    return {name: told[name] for name in ("request_count", "error_rate", "avg_latency_ms")}


def figures(amounts: Amounts) -> dict[str, Any]:
    number = amounts.get("n", 0)
    failed = amounts.get("errors", 0)
    p95 = quantile(classes(amounts, "latency"), 0.95)
    return {
        "request_count": number,
        "error_count": failed,
        "error_rate": round(failed / number, 6) if number else 0.0,
        "avg_latency_ms": round(amounts.get("latency", 0) / number / 1000, 3) if number else 0.0,
        "p95_latency_ms": round(p95 / 1000, 3) if p95 is not None else 0.0,
        "total_cost_usd": amounts.get("cost", 0) / _NANO,
        "total_tokens": amounts.get("input", 0) + amounts.get("output", 0),
    }


async def windows(counted: Counted, series: Series, now: datetime) -> ByWindow:
    """Hours where whole hours are asked for, minutes at the edges: a day is at most 145 points instead of 1,441."""
    recent = await counted.points(series, Step.MINUTE, now - WINDOWS["1h"], now)
    found = {
        name: summed(point for point in recent if point.at > now - length - Step.MINUTE.length)
        for name, length in WINDOWS.items()
        if length <= WINDOWS["1h"]
    }
    start = now - WINDOWS["24h"]
    boundary = Step.HOUR.start(Step.HOUR.place(start + Step.HOUR.length))
    edge, hours = await asyncio.gather(
        counted.points(series, Step.MINUTE, start, boundary - Step.MINUTE.length),
        counted.points(series, Step.HOUR, boundary, now),
    )
    return {**found, "24h": summed([*edge, *hours])}


async def _family(counted: Counted, family: str, now: datetime) -> dict[Series, ByWindow]:
    totals = await counted.totals(family)
    live = [series for series, point in totals.items() if point.at > now - WINDOWS["24h"] - _SLACK]
    found = await asyncio.gather(*(windows(counted, series, now) for series in live))
    return dict(zip(live, found, strict=True))


def _by(found: Mapping[Series, ByWindow], label: str) -> dict[str, Any]:
    parts: dict[str, list[ByWindow]] = {}
    for series, by_window in found.items():
        parts.setdefault(series[label], []).append(by_window)
    return {name: _told(_together(each)) for name, each in sorted(parts.items())}


def _together(parts: Iterable[ByWindow]) -> ByWindow:
    parts = list(parts)
    return {name: added(*(part[name] for part in parts)) for name in WINDOWS}


def _told(by_window: ByWindow) -> list[dict[str, Any]]:
    return [{"window": name, **figures(by_window[name])} for name in WINDOWS]
