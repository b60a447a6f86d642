"""What the ask API shows of the system beside answers, read from where it is kept."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quintet.ask.connectors import INTEGRATIONS, Heard, integrations, share_healthy, vendors, with_models
from quintet.ask.figures import MINUTE, Minute, minute_of, snapshot
from quintet.ask.model import AUTO
from quintet.gateway.catalogue.model import BUILTIN
from quintet.gateway.view import View
from quintet.http.work import offload
from quintet.settings import Settings
from quintet.sockets.model import Connections
from quintet.store.ids import made_at
from quintet.store.secrets import secret
from quintet.telemetry.rules import CALLS, ENDPOINTS, LOG
from quintet.telemetry.store.books import totals
from quintet.telemetry.store.log import Log

_MOST_RECORDS = 5000  # of a minute: what is beyond is extrapolated
_LOG = Log("requests", "record_id", LOG)


@dataclass(frozen=True, slots=True)
class Shown:
    views: Callable[[], Awaitable[View]]
    connections: Connections

    async def known(self, model: str) -> bool:
        """While nobody has filled the catalogue, no name is wrong."""
        catalogue = (await self.views()).catalogue
        filled = any(each.provider != BUILTIN for each in catalogue.models.values())
        return model == AUTO or not filled or catalogue.named(model) is not None

    async def models(self, now: datetime) -> list[dict[str, Any]]:
        return with_models(await self.views(), await _calls(), now)

    async def connectors(self, now: datetime) -> list[dict[str, Any]]:
        view = await self.views()
        own = integrations(await offload(_set_up), await _heard(), now)
        return [each.told() for each in (*vendors(view, await _calls(), now), *own)]

    async def telemetry(self, now: datetime) -> dict[str, Any]:
        minute = await _minute(now)
        return snapshot(minute, await self.connections.live(now), share_healthy(await self.views()))


async def _minute(now: datetime) -> Minute:
    since, records = now - MINUTE, []
    async for record in _LOG.newest(now):
        at = made_at(record["record_id"])
        if at < since:
            break
        records.append(record)
        if len(records) == _MOST_RECORDS:
            return minute_of(records, max((now - at).total_seconds(), 0.001))
    return minute_of(records)


async def _calls() -> dict[str, datetime]:
    """When each vendor was last called, to the minute."""
    found: dict[str, datetime] = {}
    for series, point in (await totals(CALLS)).items():
        provider = series["provider"]
        found[provider] = max(point.at, found.get(provider, point.at))
    return found


async def _heard() -> list[Heard]:
    return [
        Heard(series["endpoint"], well=point.at)
        if series["status"] == "success"
        else Heard(series["endpoint"], ill=point.at)
        for series, point in (await totals(ENDPOINTS)).items()
    ]


def _set_up() -> list[str]:
    return [each.name for each in INTEGRATIONS if any(_given(name) for name in each.secrets)]


def _given(name: str) -> bool:
    return name.upper() in Settings.names() and bool(secret(name))
