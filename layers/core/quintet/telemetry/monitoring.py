"""kyros.md's monitoring, from what was counted: series in even steps, what work cost and by whom. Nothing is invented:
a step in which nothing happened has no figure."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.telemetry.rules import CALLS, GROUPS, PLATFORM, TASKS, USERS, WORK
from quintet.telemetry.series import Amounts, Point, Series, Step, added, summed

MOST_STEPS = 1500
PERIODS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
GRANULARITIES: Mapping[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
USUAL: Mapping[str, str] = {"1h": "5m", "24h": "1h", "7d": "1h", "30d": "1d"}
COST_PERIODS: Mapping[str, timedelta] = {
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
_NANO = 1_000_000_000


class Counted(Protocol):
    async def points(self, series: Series, step: Step, start: datetime, end: datetime, /) -> list[Point]: ...

    async def totals(self, family: str, /) -> Mapping[Series, Point]: ...


@dataclass(frozen=True, slots=True)
class Metric:
    """`value` tells one step's figure from what was counted in it; None where there is nothing to tell."""

    unit: str
    family: str
    value: Callable[[Amounts], float | None]


def _share(amounts: Amounts, part: str, *whole: str) -> float | None:
    total = sum(amounts.get(name, 0) for name in whole)
    return round(100 * amounts.get(part, 0) / total, 2) if total else None


def _per(amount: float, number: int, digits: int) -> float | None:
    return round(amount / number, digits) if number else None


def _ended(amounts: Amounts) -> int:
    return amounts.get("completed", 0) + amounts.get("failed", 0)


METRICS: Mapping[str, Metric] = {
    "task_completion_rate": Metric("percent", TASKS, lambda a: _share(a, "completed", "completed", "failed")),
    "average_response_time": Metric(
        "seconds", CALLS, lambda a: _per(a.get("latency", 0) / 1_000_000, a.get("n", 0), 3)
    ),
    "cost_per_task": Metric("USD", TASKS, lambda a: _per(a.get("cost", 0) / _NANO, _ended(a), 6)),
    "escalation_rate": Metric("percent", TASKS, lambda a: _share(a, "escalated", "started")),
    "error_rate": Metric("percent", GROUPS, lambda a: _share(a, "s5", *(f"s{number}" for number in range(1, 6)))),
    "total_cost": Metric("USD", CALLS, lambda a: a["cost"] / _NANO if a.get("cost") else (0.0 if a.get("n") else None)),
    "model_calls": Metric("calls", CALLS, lambda a: a.get("n")),
    "tasks_completed": Metric("tasks", TASKS, lambda a: a.get("completed")),
}
DOCUMENTED = ("task_completion_rate", "average_response_time", "cost_per_task", "escalation_rate")


def steps_of(period: timedelta, granularity: timedelta, now: datetime) -> list[datetime]:
    """The beginnings of even steps, the last of which is the running one."""
    epoch = datetime(1970, 1, 1, tzinfo=now.tzinfo)
    last = epoch + (now - epoch) // granularity * granularity
    number = max(1, period // granularity)
    return [last - granularity * (number - 1 - index) for index in range(number)]


async def metrics(
    counted: Counted, names: Iterable[str], starts: list[datetime], granularity: timedelta, now: datetime
) -> dict[str, Any]:
    names = list(names)
    families = sorted({METRICS[name].family for name in names})
    found = await asyncio.gather(*(_in_steps(counted, family, starts, granularity, now) for family in families))
    by_family = dict(zip(families, found, strict=True))
    return {name: _told(METRICS[name], by_family[METRICS[name].family]) for name in names}


def _told(metric: Metric, steps: list[Amounts]) -> dict[str, Any]:
    data = [metric.value(amounts) for amounts in steps]
    known = [value for value in data if value is not None]
    return {"data": data, "unit": metric.unit, "average": round(sum(known) / len(known), 6) if known else None}


async def _in_steps(
    counted: Counted, family: str, starts: list[datetime], granularity: timedelta, now: datetime
) -> list[Amounts]:
    step = Step.DAY if granularity >= Step.DAY.length else Step.HOUR if granularity >= Step.HOUR.length else Step.MINUTE
    known = await _since(counted, family, starts[0])
    parts = await asyncio.gather(*(counted.points(series, step, starts[0], now) for series in known))
    steps: list[list[Amounts]] = [[] for _ in starts]
    for point in (point for part in parts for point in part):
        index = (point.at - starts[0]) // granularity
        if 0 <= index < len(steps):
            steps[index].append(point.amounts)
    return [added(*amounts) for amounts in steps]


async def _since(counted: Counted, family: str, start: datetime) -> list[Series]:
    """Those that may have been counted since: a late record can have set a series' last minute back a little."""
    totals = await counted.totals(family)
    return [series for series, point in totals.items() if point.at >= start - Step.DAY.length]


@dataclass(frozen=True, slots=True)
class Prices:
    """Of the model that everything could have been done with, in nano-USD a token."""

    input: int
    output: int


async def costs(
    counted: Counted, period: timedelta, group_by: str | None, premium: Prices | None, now: datetime
) -> dict[str, Any]:
    start = now - period
    families = (CALLS, TASKS, WORK, GROUPS, PLATFORM)
    calls, tasks, work, groups, unasked = await asyncio.gather(
        *(_within(counted, each, start, now) for each in families)
    )
    total = sum(amounts.get("cost", 0) for amounts in calls.values())
    by = {
        "by_model": _by("model", calls, tasks, total),
        "by_role": _by("role", work, tasks, total),
        "by_task_type": _by("type", work, tasks, total),
    }
    if group_by == "user":
        by["by_user"] = _by("user", await _within(counted, USERS, start, now), {}, total)
    shown = ("by_model", "by_role") if group_by is None else (f"by_{group_by}",)
    breakdown: dict[str, Any] = {name: by[name] for name in shown}
    breakdown["savings"] = savings(calls.values(), total, premium)
    platform = sum(amounts.get("platform", 0) for each in (groups, unasked) for amounts in each.values())
    return {"total_cost": total / _NANO, "platform_cost_usd": platform / _NANO, "cost_breakdown": breakdown}


def savings(calls: Iterable[Amounts], total: int, premium: Prices | None) -> dict[str, Any]:
    """Against having asked the escalation model for every token. Without its price nothing can be said."""
    if premium is None:
        return {"vs_premium_only": None, "percentage": None, "roi": None}
    summed_up = added(*calls)
    dearest = summed_up.get("input", 0) * premium.input + summed_up.get("output", 0) * premium.output
    saved = max(0, dearest - total)
    return {
        "vs_premium_only": saved / _NANO,
        "percentage": round(100 * saved / (saved + total), 1) if saved + total else None,
        "roi": round(100 * saved / total, 1) if total else None,
    }


def _by(label: str, spent: Mapping[Series, Amounts], tasks: Mapping[Series, Amounts], total: int) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for series, amounts in spent.items():
        row = found.setdefault(series[label], {"cost": 0, "tasks": 0})
        row["cost"] += amounts.get("cost", 0)
    for series, amounts in tasks.items():
        if number := _ended(amounts):
            found.setdefault(series[label], {"cost": 0, "tasks": 0})["tasks"] += number
    return {
        name: {
            "cost": row["cost"] / _NANO,
            "percentage": round(100 * row["cost"] / total, 1) if total else None,
            "tasks": row["tasks"],
        }
        for name, row in sorted(found.items(), key=lambda item: (-item[1]["cost"], item[0]))
    }


async def _within(counted: Counted, family: str, start: datetime, now: datetime) -> dict[Series, Amounts]:
    """In whole hours, the one that `start` lies in included."""
    known = await _since(counted, family, start)
    found = await asyncio.gather(*(counted.points(series, Step.HOUR, start, now) for series in known))
    return {series: summed(points) for series, points in zip(known, found, strict=True) if points}
