"""What changes by the second and every instance looks at: who is ill, what was learned, which catalogue is in force.

One partition of the table `present`, read as a whole. It is written when something changes, never by every request.

| pk | sk | what |
|---|---|---|
| `now` | `catalogue` | `generation`, grown by every edit |
| `now` | `provider#<id>` | its errors in a row, and until when it is left alone |
| `now` | `learned` | `body`: what models really take and how often they fail, and Thompson's posteriors, as JSON |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import from_millis, millis
from quintet.store.items import from_item, to_item

DEGRADED_AFTER = 2
DOWN_AFTER = 5
COOLDOWN = timedelta(seconds=30)
LONGEST_COOLDOWN = timedelta(minutes=10)  # whatever a vendor's Retry-After says

_NOW = "now"
PROVIDER = "provider#"
_MESSAGE = 300


class State(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """Of a provider. `limited` says that the vendor asked to be left alone until then."""

    errors: int = 0  # in a row
    cooldown_until: datetime | None = None
    limited: bool = False
    last_error: str | None = None
    last_error_at: datetime | None = None

    @property
    def state(self) -> State:
        if self.errors >= DOWN_AFTER:
            return State.DOWN
        return State.DEGRADED if self.errors >= DEGRADED_AFTER else State.HEALTHY

    def cooling(self, now: datetime) -> float:
        """Seconds that it is still to be left alone."""
        return max(0.0, (self.cooldown_until - now).total_seconds()) if self.cooldown_until else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    latency_ms: float
    error_rate: float


@dataclass(frozen=True, slots=True)
class Learned:
    """`posteriors` are Beta's alpha and beta by model and token bucket."""

    models: Mapping[str, Measured] = field(default_factory=dict)
    posteriors: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Present:
    generation: int = 0
    health: Mapping[str, Health] = field(default_factory=dict)
    learned: Learned = field(default_factory=Learned)

    def of(self, provider: str) -> Health:
        return self.health.get(provider, _WELL)


_WELL = Health()


async def read() -> Present:
    answer = await wire.call(
        "Query",
        {
            "TableName": settings().table("present"),
            "KeyConditionExpression": "pk = :now",
            "ExpressionAttributeValues": {":now": {"S": _NOW}},
            "ConsistentRead": True,  # whoever has just edited the catalogue sees it
        },
    )
    generation, health, learned = 0, {}, Learned()
    for item in map(from_item, answer["Items"]):
        name = item["sk"]
        if name == "catalogue":
            generation = item["generation"]
        elif name == "learned":
            learned = _learned(json.loads(item["body"]))
        elif name.startswith(PROVIDER):
            health[name.removeprefix(PROVIDER)] = health_of(item)
    return Present(generation, health, learned)


async def failed(provider: str, message: str, now: datetime) -> Health:
    """One more error in a row. Enough of them, and the provider is left alone for a while."""
    item = await _write(
        provider,
        "SET last_error = :message, last_error_at = :now ADD errors :one",
        {":message": message[:_MESSAGE], ":now": millis(now), ":one": 1},
    )
    if item["errors"] >= DOWN_AFTER:
        item = await _write(
            provider,
            "SET cooldown_until = :until REMOVE is_limited",
            {":until": millis(now + COOLDOWN)},
        )
    return health_of(item)


async def limited(provider: str, message: str, seconds: float | None, now: datetime) -> Health:
    """The vendor asked for peace: that is no illness."""
    wait = COOLDOWN if seconds is None else min(timedelta(seconds=max(0.0, seconds)), LONGEST_COOLDOWN)
    return health_of(
        await _write(
            provider,
            "SET last_error = :message, last_error_at = :now, cooldown_until = :until, is_limited = :yes",
            {":message": message[:_MESSAGE], ":now": millis(now), ":until": millis(now + wait), ":yes": True},
        )
    )


async def recovered(provider: str) -> None:
    """It has answered again. Written only where somebody knew it as ill."""
    await _write(provider, "SET errors = :none REMOVE cooldown_until, is_limited", {":none": 0})


async def learn(learned: Learned) -> None:
    body = {
        "models": {
            name: {"latency_ms": round(each.latency_ms, 1), "error_rate": round(each.error_rate, 5)}
            for name, each in learned.models.items()
        },
        "posteriors": {
            name: {bucket: [round(alpha, 3), round(beta, 3)] for bucket, (alpha, beta) in buckets.items()}
            for name, buckets in learned.posteriors.items()
        },
    }
    item = {"pk": _NOW, "sk": "learned", "body": json.dumps(body, separators=(",", ":"))}
    await wire.call("PutItem", {"TableName": settings().table("present"), "Item": to_item(item)}, idempotent=True)


async def _write(provider: str, change: str, values: Mapping[str, Any]) -> dict[str, Any]:
    answer = await wire.call(
        "UpdateItem",
        {
            "TableName": settings().table("present"),
            "Key": to_item({"pk": _NOW, "sk": PROVIDER + provider}),
            "UpdateExpression": change,
            "ExpressionAttributeValues": to_item(values),
            "ReturnValues": "ALL_NEW",
        },
        idempotent=True,  # counted twice at the worst
    )
    return from_item(answer["Attributes"])


def health_of(item: Mapping[str, Any]) -> Health:
    """From a provider's row."""

    def moment(name: str) -> datetime | None:
        return from_millis(item[name]) if name in item else None

    return Health(
        errors=item.get("errors", 0),
        cooldown_until=moment("cooldown_until"),
        limited=item.get("is_limited", False),
        last_error=item.get("last_error"),
        last_error_at=moment("last_error_at"),
    )


def _learned(body: Mapping[str, Any]) -> Learned:
    return Learned(
        {name: Measured(**each) for name, each in body.get("models", {}).items()},
        {
            name: {bucket: (alpha, beta) for bucket, (alpha, beta) in buckets.items()}
            for name, buckets in body.get("posteriors", {}).items()
        },
    )
