"""kyros.md's monitoring: health, metrics, costs, alerts."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from operations.figures import views
from quintet.alerts import store as alerts
from quintet.alerts.model import Alert, Severity, Standing, told
from quintet.configuration import live, store
from quintet.configuration.model import SYSTEM
from quintet.errors import Failure, Kind, invalid
from quintet.events.audit import audited
from quintet.gateway.view import View
from quintet.http.answers import Json, envelope
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.net import client
from quintet.store import wire
from quintet.store.transactions import Unmet
from quintet.telemetry import monitoring
from quintet.telemetry.rules import CALLS, GROUPS
from quintet.telemetry.series import Amounts, Series, Step, summed
from quintet.telemetry.store import books

router = APIRouter(prefix="/v1/monitoring")

Reader = Annotated[Principal, Depends(permitted("read_monitoring"))]
Manager = Annotated[Principal, Depends(permitted("manage_alerts"))]

# The document's services, and the groups of the API that are theirs.
_SERVICES: Mapping[str, tuple[str, ...]] = {
    "orchestrator": ("tasks", "workflow"),
    "console": ("operations", "admin", "identity"),
    "terminal_daemon": ("sockets", "webhooks"),
    "gateway": ("broker", "ask"),
    "personas": ("personas",),
    "policy": ("policy",),
}
_HEALTHY, _DEGRADED, _DOWN = "healthy", "degraded", "unhealthy"
_DEGRADED_BELOW, _DOWN_BELOW = 99.0, 50.0  # percent of requests that did not fail of us
_SLOW_MS = 100.0
_PROBES = 3
_ATTEMPTS = 4


class Counted:
    async def points(self, series: Series, step: Step, start: datetime, end: datetime) -> list[Any]:
        return await books.points(series, step, start, end)

    async def totals(self, family: str) -> Any:
        return await books.totals(family)


@router.get("/health")
async def health(request: Request, _reader: Reader) -> Json:
    """Response times and rates are of the last 24 hours. Who was not called in that time has none."""
    exchange = exchange_of(request)
    groups, models, database = await asyncio.gather(
        _day(GROUPS, "group", exchange.at), _models(exchange.at), _database()
    )
    services = {name: _service(groups, parts) for name, parts in _SERVICES.items()}
    states = [each["status"] for each in services.values()] + [database["status"]]
    overall = _DOWN if _DOWN in states else _DEGRADED if _DEGRADED in states else _HEALTHY
    data = {"overall_status": overall, "services": services, "database": database, "models": models}
    return envelope(exchange, data)


@router.get("/metrics")
async def metrics(
    request: Request,
    _reader: Reader,
    period: Literal["1h", "24h", "7d", "30d"] = "24h",
    granularity: Literal["1m", "5m", "1h", "1d"] | None = None,
    names: Annotated[str | None, Query(alias="metrics", max_length=500)] = None,
) -> Json:
    exchange = exchange_of(request)
    asked = granularity or monitoring.USUAL[period]
    length, step = monitoring.PERIODS[period], monitoring.GRANULARITIES[asked]
    if step > length:
        raise invalid("granularity", f"Must not be longer than the period of {period}")
    if length // step > monitoring.MOST_STEPS:
        raise invalid("granularity", f"Makes more than {monitoring.MOST_STEPS} steps of {period}: ask for longer ones")
    wanted = [name.strip() for name in names.split(",")] if names else [*monitoring.DOCUMENTED]
    unknown = next((name for name in wanted if name not in monitoring.METRICS), None)
    if unknown is not None:
        raise invalid("metrics", f"There is no '{unknown}'; there are: {', '.join(monitoring.METRICS)}")
    starts = monitoring.steps_of(length, step, exchange.at)
    found = await monitoring.metrics(Counted(), wanted, starts, step, exchange.at)
    return envelope(exchange, {"period": period, "granularity": asked, "metrics": found})


@router.get("/costs")
async def costs(
    request: Request,
    _reader: Reader,
    period: Literal["1d", "7d", "30d", "90d"] = "7d",
    group_by: Literal["model", "role", "task_type", "user"] | None = None,
) -> Json:
    exchange = exchange_of(request)
    length = monitoring.COST_PERIODS[period]
    found = await monitoring.costs(Counted(), length, group_by, await _premium(), exchange.at)
    return envelope(exchange, {"period": period, **found})


@router.get("/alerts")
async def listed(
    request: Request,
    _reader: Reader,
    status: Standing | None = None,
    severity: Severity | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> Json:
    """Newest first."""
    found, more = await offload(alerts.page, limit, offset, status=status, severity=severity)
    data = {
        "alerts": [told(alert) for alert in found],
        "pagination": {"limit": limit, "offset": offset, "has_more": more},
    }
    return envelope(exchange_of(request), data)


@router.get("/alerts/{alert_id}")
async def one(alert_id: str, request: Request, _reader: Reader) -> Json:
    return envelope(exchange_of(request), told(await _alert(alert_id)))


@router.post("/alerts/{alert_id}/acknowledge")
async def acknowledge(alert_id: str, request: Request, manager: Manager) -> Json:
    return await _become(alert_id, request, manager, "acknowledged")


@router.post("/alerts/{alert_id}/resolve")
async def resolve(alert_id: str, request: Request, manager: Manager) -> Json:
    return await _become(alert_id, request, manager, "resolved")


async def _become(alert_id: str, request: Request, manager: Principal, status: str) -> Json:
    exchange = exchange_of(request)
    for _ in range(_ATTEMPTS):
        before = await _alert(alert_id)
        move = before.acknowledged if status == "acknowledged" else before.resolved
        after = move(manager.id, exchange.at)
        try:
            await offload(alerts.change, after, audited(f"alert.{status}", alert_id, {"type": after.type}, manager.id))
        except Unmet:
            continue
        return envelope(exchange, told(after), f"Alert {status}")
    raise Failure(Kind.CONFLICT, "This alert is being changed by others: try again", retry_after=1)


async def _alert(alert_id: str) -> Alert:
    alert = await offload(alerts.find, alert_id)
    if alert is None:
        raise Failure(Kind.NOT_FOUND, f"There is no alert '{alert_id}'")
    return alert


async def _premium() -> monitoring.Prices | None:
    """What the escalation model costs a token, without its tiers."""
    system, view = await live.system(), await views().current()
    model = view.catalogue.named(system["models"]["escalation_model"])
    return monitoring.Prices(model.price.input, model.price.output) if model else None


async def _day(family: str, label: str, now: datetime) -> dict[str, Amounts]:
    """The last 24 hours, in whole hours, by one label."""
    counted = Counted()
    known = await counted.totals(family)
    recent = [series for series, point in known.items() if point.at >= now - 2 * Step.DAY.length]
    found = await asyncio.gather(*(counted.points(series, Step.HOUR, now - Step.DAY.length, now) for series in recent))
    by_label: dict[str, list[Any]] = {}
    for series, points in zip(recent, found, strict=True):
        by_label.setdefault(series[label], []).extend(points)
    return {name: summed(points) for name, points in by_label.items()}


def _service(groups: Mapping[str, Amounts], parts: tuple[str, ...]) -> dict[str, Any]:
    number = sum(groups.get(part, {}).get("n", 0) for part in parts)
    failed = sum(groups.get(part, {}).get("s5", 0) for part in parts)
    latency = sum(groups.get(part, {}).get("latency", 0) for part in parts)
    if not number:
        return {"status": _HEALTHY, "response_time": None, "uptime": None}
    uptime = round(100 * (number - failed) / number, 2)
    status = _DOWN if uptime < _DOWN_BELOW else _DEGRADED if uptime < _DEGRADED_BELOW else _HEALTHY
    return {"status": status, "response_time": round(latency / number / 1000, 1), "uptime": uptime}


async def _database() -> dict[str, Any]:
    """Asked now: DynamoDB has no pool, so the connections are those that this instance keeps to it and to others."""
    times = []
    try:
        for _ in range(_PROBES):
            began = time.perf_counter()
            await store.read(SYSTEM)
            times.append((time.perf_counter() - began) * 1000)
    except (wire.WireError, client.NetError):
        pass
    idle, most = client.kept()
    slow = sum(each > _SLOW_MS for each in times)
    return {
        "status": _HEALTHY if len(times) == _PROBES else _DOWN,
        "connection_pool": {"active": 0, "idle": idle, "max": most},
        "query_performance": {
            "average_time": round(sum(times) / len(times), 2) if times else None,
            "slow_queries": slow,
        },
    }


async def _models(now: datetime) -> dict[str, Any]:
    """The models that the configuration names, and those that were called."""
    view, system, calls = await asyncio.gather(views().current(), live.system(), _day(CALLS, "model", now))
    named = [system["models"][name] for name in ("default_model", "escalation_model", "fallback_model")]
    found: dict[str, Any] = {}
    for name in sorted({*named, *calls}):
        amounts = calls.get(name, {})
        number, errors = amounts.get("n", 0), amounts.get("errors", 0)
        found[name] = {
            "status": _model_status(view, name, now),
            "response_time": round(amounts.get("latency", 0) / number / 1_000_000, 3) if number else None,
            "success_rate": round(100 * (number - errors) / number, 2) if number else None,
        }
    return found


def _model_status(view: View, name: str, now: datetime) -> str:
    model = view.catalogue.named(name)
    if model is None or view.standing(model) is not None:
        return "unavailable"
    health = view.present.of(model.provider)
    if health.cooling(now):
        return "unavailable"
    return "available" if health.errors < 2 else "degraded"
