"""What the ask API shows of the system beside answers, read from where it is kept."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quintet.ask.connectors import INTEGRATIONS, integrations, share_healthy, vendors, with_models
from quintet.ask.figures import snapshot
from quintet.ask.model import AUTO
from quintet.gateway.catalogue.model import BUILTIN
from quintet.gateway.view import View
from quintet.http.work import offload
from quintet.settings import Settings
from quintet.sockets.model import Connections
from quintet.store.secrets import secret


@dataclass(frozen=True, slots=True)
class Shown:
    """Most prompts show nothing of this: what reads the log and the series is imported when somebody asks."""

    views: Callable[[], Awaitable[View]]
    connections: Connections

    async def known(self, model: str) -> bool:
        """While nobody has filled the catalogue, no name is wrong."""
        catalogue = (await self.views()).catalogue
        filled = any(each.provider != BUILTIN for each in catalogue.models.values())
        return model == AUTO or not filled or catalogue.named(model) is not None

    async def models(self, now: datetime) -> list[dict[str, Any]]:
        from quintet.ask import reading

        return with_models(await self.views(), await reading.calls(), now)

    async def connectors(self, now: datetime) -> list[dict[str, Any]]:
        from quintet.ask import reading

        view = await self.views()
        own = integrations(await offload(_set_up), await reading.heard())
        return [each.told() for each in (*vendors(view, await reading.calls(), now), *own)]

    async def telemetry(self, now: datetime) -> dict[str, Any]:
        from quintet.ask import reading

        minute = await reading.minute(now)
        return snapshot(minute, await self.connections.live(now), share_healthy(await self.views()))


def _set_up() -> list[str]:
    return [each.name for each in INTEGRATIONS if any(_given(name) for name in each.secrets)]


def _given(name: str) -> bool:
    return name.upper() in Settings.names() and bool(secret(name))
