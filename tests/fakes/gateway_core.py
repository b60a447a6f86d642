"""What the gateway's core stands on, in memory: a catalogue, the providers' health, a ledger with one budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.calls import Ports
from quintet.gateway.catalogue.model import (
    BUILTIN,
    BUILTIN_PROVIDER,
    ECHO,
    ECHO_MODEL,
    Catalogue,
    Defaults,
    Model,
    Price,
    Provider,
)
from quintet.gateway.core import Core
from quintet.gateway.ledger.model import Reservation
from quintet.gateway.model import Payer
from quintet.gateway.present import COOLDOWN, DOWN_AFTER, LONGEST_COOLDOWN, Health, Learned, Present
from quintet.gateway.providers.kinds import provider as adapter
from quintet.gateway.view import View
from quintet.store.clock import SystemClock

CHEAP = Price(100, 400, version="1")


@dataclass
class FakeHealths:
    health: dict[str, Health] = field(default_factory=dict)

    async def failed(self, provider: str, message: str, now: datetime) -> Health:
        known = self.health.get(provider, Health())
        errors = known.errors + 1
        changed = replace(known, errors=errors, last_error=message, last_error_at=now)
        if errors >= DOWN_AFTER:
            changed = replace(changed, cooldown_until=now + COOLDOWN, limited=False)
        self.health[provider] = changed
        return changed

    async def limited(self, provider: str, message: str, seconds: float | None, now: datetime) -> Health:
        wait = COOLDOWN if seconds is None else min(timedelta(seconds=max(0.0, seconds)), LONGEST_COOLDOWN)
        known = self.health.get(provider, Health())
        changed = replace(known, limited=True, cooldown_until=now + wait, last_error=message, last_error_at=now)
        self.health[provider] = changed
        return changed

    async def recovered(self, provider: str) -> None:
        known = self.health.get(provider, Health())
        self.health[provider] = replace(known, errors=0, cooldown_until=None, limited=False)


@dataclass
class FakeLedger:
    """One budget for all; None has no end."""

    cap: int | None = None
    spent: int = 0
    held: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)

    async def reserve(
        self, payer: Payer, call_id: str, bound: int, now: datetime, seconds: float, /, *, provider: str, model: str
    ) -> Reservation:
        free = None if self.cap is None else self.cap - self.spent - sum(self.held.values())
        if free is not None and bound > free:
            raise Failure(Kind.EXHAUSTED, "The budget of scope 'system' is spent", details={"affordable": free})
        assert call_id not in self.held
        self.held[call_id] = bound
        return Reservation(call_id, bound, now + timedelta(seconds=seconds))

    async def settle(self, reservation: Reservation, cost: int, /) -> None:
        assert reservation.call_id not in self.settled, "settled twice"
        assert cost <= self.held.pop(reservation.call_id)
        self.settled[reservation.call_id] = cost
        self.spent += cost
        reservation.settle["cost"] = cost

    async def release(self, reservation: Reservation, /) -> None:
        del self.held[reservation.call_id]
        self.released.append(reservation.call_id)


@dataclass
class World:
    """A gateway over it. Models are added by their vendor's base URL."""

    ledger: FakeLedger = field(default_factory=FakeLedger)
    healths: FakeHealths = field(default_factory=FakeHealths)
    providers: dict[str, Provider] = field(default_factory=lambda: {BUILTIN: BUILTIN_PROVIDER})
    models: dict[str, Model] = field(default_factory=lambda: {ECHO: ECHO_MODEL})
    keys: dict[str, str] = field(default_factory=lambda: {BUILTIN: ""})
    defaults: Defaults = field(default_factory=Defaults)
    learned: Learned = field(default_factory=Learned)
    generation: int = 1

    @property
    def gateway(self) -> Core:
        ports = Ports(self.ledger, self.healths, adapter, SystemClock(), lambda: None, self.outdated)
        return Core(self.look, ports)

    @property
    def view(self) -> View:
        catalogue = Catalogue(self.generation, self.providers, self.models, self.defaults)
        return View(catalogue, Present(1, dict(self.healths.health), self.learned), self.keys)

    async def outdated(self, view: View) -> bool:
        return view.catalogue.generation != self.generation

    async def look(self) -> View:
        return self.view

    def add(self, id: str, provider: str = "acme", *, url: str = "", kind: str = "openai", **more: Any) -> Model:  # noqa: A002
        """With a provider of that name, whose key is there."""
        self.providers.setdefault(provider, Provider(provider, kind, base_url=url))
        self.keys.setdefault(provider, "secret-key")
        given: Mapping[str, Any] = {"name": id, "price": CHEAP, "latency_ms": 1000.0, **more}
        self.models[id] = Model(id=id, provider=provider, **given)
        return self.models[id]
