"""What routing goes by, from what was counted: how models did of late, and what Thompson sampling believes."""

import asyncio
import time
from datetime import datetime

from quintet.copies import forget_in_copies
from quintet.gateway.present import Learned, Measured
from quintet.gateway.present import learn as keep
from quintet.telemetry.rules import CALLS
from quintet.telemetry.series import Amounts, Step, added, summed
from quintet.telemetry.store.books import points, totals
from quintet.telemetry.store.rewards import believed

_SECONDS = 5.0  # between two times: traffic that ends in between is learned from when it goes on
_last = -_SECONDS


def _at_once() -> None:
    global _last
    _last = -_SECONDS


forget_in_copies(_at_once)


async def learn_of_late(now: datetime) -> None:
    """At most every few seconds in this process."""
    global _last
    if time.monotonic() - _last < _SECONDS:
        return
    _last = time.monotonic()
    await learn(now)


async def learn(now: datetime) -> None:
    """Every instance goes by it within ten seconds."""
    await keep(await learned(now))


async def learned(now: datetime) -> Learned:
    since = now - Step.HOUR.length
    live = [series for series, point in (await totals(CALLS)).items() if point.at >= since]
    recent = await asyncio.gather(*(points(series, Step.HOUR, since, now) for series in live))
    models: dict[str, Amounts] = {}
    for series, found in zip(live, recent, strict=True):
        models[series["model"]] = added(models.get(series["model"], {}), summed(found))
    posteriors: dict[str, dict[str, tuple[float, float]]] = {}
    for (model, bucket), belief in (await believed()).items():
        posteriors.setdefault(model, {})[bucket] = (belief.alpha, belief.beta)
    return Learned({model: _measured(amounts) for model, amounts in models.items() if amounts.get("n")}, posteriors)


def _measured(amounts: Amounts) -> Measured:
    number = amounts["n"]
    return Measured(amounts.get("latency", 0) / number / 1000, amounts.get("errors", 0) / number)
