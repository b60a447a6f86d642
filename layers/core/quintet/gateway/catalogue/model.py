"""The nouns of the catalogue, pure. Prices are in nano-USD a token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

BUILTIN = "builtin"  # the provider that needs no network, and answers only where there is no other
ECHO = "builtin/echo"
MOST_WEIGHT = 10


class CredStore(StrEnum):
    """Where a provider's key lies."""

    SECRETSMANAGER = "secretsmanager"  # in the integrations secret; the environment may stand in for it
    ENV = "env"
    VAULT = "vault"
    NONE = "none"  # it needs none


@dataclass(frozen=True, slots=True)
class Tier:
    """What a token costs once a request's input is above `above` tokens: the whole request is priced so."""

    above: int
    input: int
    output: int
    cached: int | None = None
    cache_written: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """`version` names this set of figures in records: prices change, what was paid does not.

    None means that the vendor makes no difference to fresh input.
    """

    input: int
    output: int
    cached: int | None = None
    cache_written: int | None = None
    tiers: tuple[Tier, ...] = ()
    version: str = ""

    def at(self, input_tokens: int) -> Tier:
        """The tier that a request of so many tokens is in."""
        fitting = [tier for tier in self.tiers if input_tokens > tier.above]
        if fitting:
            return max(fitting, key=lambda tier: tier.above)
        return Tier(0, self.input, self.output, self.cached, self.cache_written)

    def of(self, input: int, output: int, cached: int = 0, cache_written: int = 0) -> int:  # noqa: A002
        """Of a call. `cached` and `cache_written` are parts of `input`."""
        tier = self.at(input)
        read = tier.input if tier.cached is None else tier.cached
        written = tier.input if tier.cache_written is None else tier.cache_written
        fresh = max(0, input - cached - cache_written)
        return fresh * tier.input + cached * read + cache_written * written + output * tier.output

    def most_of(self, input: int, output: int) -> int:  # noqa: A002
        """The most that a call of no more than so many tokens can cost, whatever its vendor caches."""
        return max(
            input * max(tier.input, tier.cached or 0, tier.cache_written or 0) + output * tier.output
            for tier in (self.at(0), *(tier for tier in self.tiers if tier.above < input))
        )

    def most_output(self) -> int:
        return max(self.output, *(tier.output for tier in self.tiers)) if self.tiers else self.output


@dataclass(frozen=True, slots=True)
class Provider:
    """`kind` is the protocol it speaks. `cred_name` is what its key is called in its `cred_store`."""

    id: str
    kind: str
    name: str = ""
    base_url: str = ""
    cred_store: CredStore = CredStore.NONE
    cred_name: str = ""
    enabled: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    rev: int = 0
    updated_at: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """`name` is the vendor's. A window or an output of 0 has no limit that we know.

    `latency_ms` is what we expect before we have measured. `weight` is its class of quality, 0..10.
    """

    id: str
    provider: str
    name: str
    price: Price
    enabled: bool = True
    weight: float = 5.0
    context_window: int = 0
    max_output: int = 0
    capabilities: frozenset[str] = frozenset()
    latency_ms: float = 2000.0
    deprecated_on: str = ""  # 2026-11-29
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    source_date: str = ""
    rev: int = 0
    updated_at: str = ""

    def deprecated(self, today: date) -> bool:
        return bool(self.deprecated_on) and date.fromisoformat(self.deprecated_on) <= today


# Always there, whatever the table holds; what the table says of them goes first.
BUILTIN_PROVIDER = Provider(BUILTIN, BUILTIN, "Built in")
ECHO_MODEL = Model(
    ECHO,
    BUILTIN,
    "echo",
    Price(0, 0, version="free"),
    weight=0,
    capabilities=frozenset({"audio", "json", "planning", "reasoning", "streaming", "tools", "vision"}),
    latency_ms=1,
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What routing goes by where a request says nothing."""

    mode: str = "normal"
    max_budget: int = 50_000_000  # nano-USD: 0.05 USD
    max_latency_ms: int = 20_000
    min_weight: float = 0
    rev: int = 0
    updated_at: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of it at one moment. `generation` grows with every edit."""

    generation: int
    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    defaults: Defaults = field(default_factory=Defaults)

    def named(self, name: str) -> Model | None:
        """By its id, or by an alias."""
        found = self.models.get(name)
        if found is None:
            found = next((model for model in self.models.values() if name in model.aliases), None)
        return found

    def misnamed(self, name: str) -> str | None:
        """Why nobody should put this model to work; None when it can be."""
        model = self.named(name)
        if model is not None and model.enabled:
            return None
        known = ", ".join(sorted(each.id for each in self.models.values() if each.enabled))
        return f"{'This model is switched off' if model else 'There is no such model'}; there are: {known}"
