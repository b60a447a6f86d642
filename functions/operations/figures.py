"""What /metrics and /healthz tell, read from what all instances have stored."""

import asyncio
import logging
from datetime import datetime

from operations.queues import queues
from quintet.copies import own
from quintet.gateway import present
from quintet.gateway.catalogue import reading
from quintet.gateway.keys import Keyring
from quintet.gateway.ledger.live import control
from quintet.gateway.ledger.model import SHARED
from quintet.gateway.model import NANO
from quintet.gateway.present import State
from quintet.gateway.vault.live import glance
from quintet.gateway.view import Views
from quintet.settings import settings
from quintet.sockets.store import live as open_sockets
from quintet.telemetry.counted import FAMILIES, counted
from quintet.telemetry.exposition import Metric, gauge, render
from quintet.telemetry.rules import LOG
from quintet.telemetry.series import Amounts, Series
from quintet.telemetry.store.books import totals

log = logging.getLogger("quintet.operations")


async def exposition(now: datetime) -> str:
    """Of the system, from what all instances have stored. No label names a caller."""
    return render(await _all(now))


async def routable(now: datetime) -> bool:
    """Whether there is a model that the next request could be routed to."""
    view = await views().current()
    return any(view.present.of(model.provider).cooling(now) == 0 for model in view.routable())


@own
def views() -> Views:
    """Without the vendors' keys: here it only matters whether there are any."""
    return Views(present.read, reading.read, Keyring(glance()))


async def _all(now: datetime) -> list[Metric]:
    """What cannot be read is told of as such, and hides nothing else."""
    parts = {"counted": _counted(), "providers": _providers(now), "budgets": _budgets(now), "queues": queues()}
    parts |= {"sockets": _sockets(now)}
    found = await asyncio.gather(*parts.values(), return_exceptions=True)
    build = gauge("quintet_build_info", "The version that answers")
    build.add(1, version=settings().version)
    read = gauge("quintet_scrape_success", "Whether this part of the exposition could be read")
    metrics = [build, read]
    for name, outcome in zip(parts, found, strict=True):
        read.add(int(not isinstance(outcome, BaseException)), part=name)
        if isinstance(outcome, BaseException):
            log.error("a part of the exposition is missing", exc_info=outcome, extra={"part": name})
        else:
            metrics += outcome
    return metrics


async def _counted() -> list[Metric]:
    sums, last = await asyncio.gather(_sums(), totals(LOG))
    until = gauge("quintet_counted_until_timestamp_seconds", "The last minute of the request log that is counted")
    for point in last.values():
        until.add(point.at.timestamp())
    return [*counted(sums), until]


async def _sockets(now: datetime) -> list[Metric]:
    number = gauge("quintet_websocket_connections", "WebSockets that are open")
    number.add(await open_sockets(now))
    return [number]


async def _sums() -> dict[str, dict[Series, Amounts]]:
    found = await asyncio.gather(*map(totals, FAMILIES))
    return {
        family: {series: point.amounts for series, point in each.items()}
        for family, each in zip(FAMILIES, found, strict=True)
    }


async def _providers(now: datetime) -> list[Metric]:
    view = await views().current()
    state = gauge("quintet_breaker_state", "1 for the state that a provider is in")
    errors = gauge("quintet_breaker_consecutive_errors", "Errors in a row of a provider")
    cooling = gauge("quintet_breaker_cooldown_seconds", "How long a provider is still left alone")
    models = gauge("quintet_models", "Models in the catalogue")
    for name in sorted(view.catalogue.providers):
        health = view.present.of(name)
        for each in State:
            state.add(int(health.state is each), provider=name, state=each.value)
        errors.add(health.errors, provider=name)
        cooling.add(round(health.cooling(now), 3), provider=name)
    models.add(len(view.catalogue.models), state="known")
    models.add(len(view.routable()), state="routable")
    return [state, errors, cooling, models]


async def _budgets(now: datetime) -> list[Metric]:
    """Of those that many callers share: what one caller may spend is nobody else's business."""
    cap = gauge("quintet_budget_cap_usd", "The most that may be spent in the running window, in USD")
    spent = gauge("quintet_budget_spent_usd", "What was spent of it in the running window, in USD")
    reserved = gauge("quintet_budget_reserved_usd", "What is held for calls that run, in USD")
    for state in await control().all_states(now, sorted(SHARED)):
        budget = state.budget
        names = {"scope": budget.scope.value, "subject": budget.subject, "window": budget.window.value}
        cap.add(budget.cap / NANO, **names)
        spent.add(state.spent / NANO, **names)
        reserved.add(state.reserved / NANO, **names)
    return [cap, spent, reserved]
