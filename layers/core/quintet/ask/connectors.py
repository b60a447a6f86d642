"""What stands behind prompts, and how it fares: model vendors and integrations. Pure.

A vendor's status is the breaker's word: `healthy`; `degraded` after errors in a row, or while it asked to be left
alone; `offline` while it is down, switched off or without a key. An integration is `offline` until it is set up, and
`degraded` while the last that we know of it is an error. `last_sync` is when we last exchanged something with it;
before that ever happened, when it was last set up; null where neither is known. What is part of ourselves is in step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from quintet.gateway.catalogue.model import BUILTIN, Model, Provider
from quintet.gateway.present import State
from quintet.gateway.view import View
from quintet.store.clock import iso


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Integration:
    """`routes` are the beginnings of the paths it comes in by; any of `secrets` sets it up."""

    name: str
    type: str
    secrets: tuple[str, ...]
    routes: tuple[str, ...]


INTEGRATIONS = (
    Integration("slack", "messaging", ("slack_bot_token", "slack_signing_secret"), ("/slack",)),
    Integration("vapi", "voice", ("vapi_secret", "vapi_hmac_secret"), ("/vapi",)),
    Integration("elevenlabs", "voice", ("elevenlabs_api_key",), ("/v1/elevenlabs-llm", "/ws/elevenlabs")),
)


@dataclass(frozen=True, slots=True)
class Heard:
    """When a route last answered well, and when it last failed."""

    route: str
    well: datetime | None = None
    ill: datetime | None = None


@dataclass(frozen=True, slots=True)
class Connector:
    name: str
    type: str
    status: Status
    last_sync: datetime | None
    detail: str | None = None  # why it is not healthy

    def told(self) -> dict[str, Any]:
        shape: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "status": self.status.value,
            "last_sync": iso(self.last_sync) if self.last_sync else None,
        }
        return shape | ({"detail": self.detail} if self.detail else {})


def vendors(view: View, calls: Mapping[str, datetime], now: datetime) -> list[Connector]:
    """`calls` says when each was last called."""
    return [_vendor(view, provider, calls.get(provider.id), now) for provider in _sorted(view)]


def with_models(view: View, calls: Mapping[str, datetime], now: datetime) -> list[dict[str, Any]]:
    """Vendors that have enabled models, with these."""
    models: dict[str, list[Model]] = {}
    for model in view.catalogue.models.values():
        if model.enabled:
            models.setdefault(model.provider, []).append(model)
    return [
        connector.told() | {"models": sorted(model.id for model in models[connector.name])}
        for connector in vendors(view, calls, now)
        if connector.name in models
    ]


def integrations(set_up: Iterable[str], heard: Iterable[Heard]) -> list[Connector]:
    """`set_up` are the names of those that have what they need."""
    known, told = frozenset(set_up), list(heard)
    return [_integration(each, each.name in known, told) for each in INTEGRATIONS]


def share_healthy(view: View) -> float:
    """Of the vendors that routing may choose from, 0 to 1; one that is not quite well counts half."""
    worth = {State.HEALTHY: 1.0, State.DEGRADED: 0.5, State.DOWN: 0.0}
    states = [view.present.of(name).state for name in {model.provider for model in view.routable()}]
    return sum(worth[state] for state in states) / len(states) if states else 0.0


def _sorted(view: View) -> list[Provider]:
    return sorted(view.catalogue.providers.values(), key=lambda provider: provider.id)


def _vendor(view: View, provider: Provider, called: datetime | None, now: datetime) -> Connector:
    health = view.present.of(provider.id)
    status, detail = Status.HEALTHY, None
    if not provider.enabled:
        status, detail = Status.OFFLINE, "disabled"
    elif provider.id not in view.keys:
        status, detail = Status.OFFLINE, "not configured"
    elif health.state is State.DOWN:
        status, detail = Status.OFFLINE, f"{health.errors} errors in a row"
    elif health.state is State.DEGRADED:
        status, detail = Status.DEGRADED, f"{health.errors} errors in a row"
    elif health.limited and health.cooling(now):
        status, detail = Status.DEGRADED, "asked to be left alone"
    set_up = datetime.fromisoformat(provider.updated_at) if provider.updated_at else None
    synced = now if provider.id == BUILTIN else called or set_up
    return Connector(provider.id, provider.kind, status, synced, detail)


def _integration(integration: Integration, set_up: bool, heard: list[Heard]) -> Connector:
    own = [each for each in heard if each.route.startswith(integration.routes)]
    well = max((each.well for each in own if each.well), default=None)
    ill = max((each.ill for each in own if each.ill), default=None)
    last = max((moment for moment in (well, ill) if moment), default=None)
    if not set_up:
        return Connector(integration.name, integration.type, Status.OFFLINE, last, "not configured")
    if ill and (well is None or ill > well):
        return Connector(integration.name, integration.type, Status.DEGRADED, last, "its last call failed")
    return Connector(integration.name, integration.type, Status.HEALTHY, last)
