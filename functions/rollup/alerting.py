"""Every minute: does anybody have to look? From what was counted, and told once an hour for each kind of trouble."""

import asyncio
import logging
from datetime import datetime, timedelta

from quintet.alerts import store as alerts
from quintet.alerts.model import Figures, findings, raised
from quintet.configuration import live
from quintet.copies import forget_in_copies
from quintet.gateway import present
from quintet.gateway.catalogue import reading
from quintet.gateway.keys import Keyring
from quintet.gateway.vault.live import glance
from quintet.gateway.view import Views
from quintet.http.work import offload
from quintet.telemetry.rules import CALLS, GROUPS, TASKS
from quintet.telemetry.series import Amounts, Step, added, summed
from quintet.telemetry.store.books import points, totals

_NANO = 1_000_000_000

log = logging.getLogger("quintet.rollup")

_views = Views(present.read, reading.read, Keyring(glance()))
forget_in_copies(_views.forget)


async def look(now: datetime) -> int:
    """How many alerts were raised."""
    watching = (await live.system())["monitoring"]
    if not watching["alert_enabled"]:
        return 0
    figures = await _figures(now, round(watching["daily_budget"] * _NANO))
    count = 0
    for finding in findings(figures):
        if await offload(alerts.raise_once, raised(finding, now)):
            log.warning("alert", extra={"alert": finding.type, "severity": finding.severity.value})
            count += 1
    return count


async def _figures(now: datetime, daily_budget: int) -> Figures:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    calls, requests, tasks, view = await asyncio.gather(
        _summed(CALLS, Step.DAY, midnight, now),
        _summed(GROUPS, Step.MINUTE, now - timedelta(minutes=4), now),
        _summed(TASKS, Step.MINUTE, now - timedelta(minutes=59), now),
        _views.current(),
    )
    return Figures(
        spent_today=calls.get("cost", 0),
        daily_budget=daily_budget,
        requests=sum(requests.get(f"s{number}", 0) for number in range(1, 6)),
        errors=requests.get("s5", 0),
        tasks=tasks.get("started", 0),
        escalations=tasks.get("escalated", 0),
        routable=any(not view.present.of(model.provider).cooling(now) for model in view.routable()),
    )


async def _summed(family: str, step: Step, start: datetime, now: datetime) -> Amounts:
    recent = [series for series, point in (await totals(family)).items() if point.at >= start - Step.DAY.length]
    found = await asyncio.gather(*(points(series, step, start, now) for series in recent))
    return added(*(summed(each) for each in found))
