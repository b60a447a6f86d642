"""Questions to the time series: one metric of the model calls, in steps."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.store.clock import from_millis, millis
from quintet.telemetry.histogram import quantile
from quintet.telemetry.rules import CALLS
from quintet.telemetry.series import Amounts, Point, Series, Step, added, classes

_NANO = 1_000_000_000
MOST_POINTS = 11_000  # of a series


@dataclass(frozen=True, slots=True)
class Metric:
    unit: str
    tells: str
    value: Callable[[Amounts], float | None]  # None where there is nothing to tell


def _mean_latency(amounts: Amounts) -> float | None:
    return round(amounts.get("latency", 0) / amounts["n"] / 1000, 3) if amounts.get("n") else None


def _p95_latency(amounts: Amounts) -> float | None:
    micros = quantile(classes(amounts, "latency"), 0.95)
    return None if micros is None else round(micros / 1000, 3)


METRICS: Mapping[str, Metric] = {
    "latency": Metric("ms", "mean time of a call", _mean_latency),
    "latency_p95": Metric("ms", "time that 95 % of the calls did not exceed", _p95_latency),
    "cost": Metric("USD", "what the calls cost", lambda amounts: amounts.get("cost", 0) / _NANO),
    "tokens": Metric("tokens", "input and output", lambda amounts: amounts.get("input", 0) + amounts.get("output", 0)),
    "errors": Metric("calls", "calls that failed", lambda amounts: amounts.get("errors", 0)),
    "requests": Metric("calls", "all calls", lambda amounts: amounts.get("n", 0)),
}


@dataclass(frozen=True, slots=True)
class Question:
    """`step` is at least a minute; `start` may not be after `end`."""

    metric: str
    start: datetime
    end: datetime
    step: timedelta
    model: str | None = None
    provider: str | None = None

    @property
    def points(self) -> int:
        return (self.end - self.start) // self.step + 1


class Counted(Protocol):
    async def points(self, series: Series, step: Step, start: datetime, end: datetime, /) -> list[Point]: ...

    async def totals(self, family: str, /) -> Mapping[Series, Point]: ...


async def answer(counted: Counted, question: Question, *, minutes_since: datetime) -> list[dict[str, Any]]:
    """Only steps in which something was counted have a point. `minutes_since` is how far back minutes are kept."""
    base = base_of(question, minutes_since)
    asked = await _asked(counted, question)
    found = await asyncio.gather(*(counted.points(each, base, question.start, question.end) for each in asked))
    return [
        {
            "metric": question.metric,
            "model_id": series["model"],
            "provider_id": series["provider"],
            "points": _in_steps(points, question, base),
        }
        for series, points in zip(asked, found, strict=True)
        if points
    ]


def base_of(question: Question, minutes_since: datetime) -> Step:
    """The longest points that the question's steps are made of: the fewest items to read."""
    for step in (Step.DAY, Step.HOUR):
        if question.step % step.length == timedelta(0):
            return step
    return Step.MINUTE if question.start >= minutes_since else Step.HOUR


async def _asked(counted: Counted, question: Question) -> list[Series]:
    """Both labels name the one series there is; else all that have ever been are looked through."""
    if question.model and question.provider:
        return [Series.of(CALLS, model=question.model, provider=question.provider)]
    known = sorted(await counted.totals(CALLS))
    return [
        series
        for series in known
        if question.model in (None, series["model"]) and question.provider in (None, series["provider"])
    ]


def _in_steps(points: list[Point], question: Question, base: Step) -> list[dict[str, Any]]:
    length = millis_of(max(question.step, base.length))
    steps: dict[int, list[Amounts]] = {}
    for point in points:
        steps.setdefault(millis(point.at) // length * length, []).append(point.amounts)
    metric = METRICS[question.metric]
    told = ((start, metric.value(added(*amounts))) for start, amounts in steps.items())
    return [{"t": start, "v": value} for start, value in told if value is not None]


def millis_of(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)


def moment_of(text: str) -> datetime:
    """RFC 3339, or Unix milliseconds. Raises ValueError."""
    if text.lstrip("-").isdigit():
        number = int(text)
        if not 0 <= number <= 253_402_300_799_000:
            raise ValueError("Unix milliseconds between 1970 and 9999")
        return from_millis(number)
    # A plus sign of a query string may arrive as a space.
    moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment
