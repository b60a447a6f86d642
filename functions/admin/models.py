"""The models that there are: /admin/v1/models, and how routing sees them: /admin/v1/engine/models."""

from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from admin.access import Admin, Options
from admin.etags import agree, etag, lost
from quintet.errors import Failure, Kind, invalid
from quintet.events.audit import audited
from quintet.gateway.catalogue import store
from quintet.gateway.catalogue.model import ECHO, MOST_WEIGHT, Model, Price, Tier
from quintet.gateway.live import views
from quintet.gateway.routing import normalised
from quintet.gateway.view import View
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.store.clock import iso
from quintet.store.transactions import Unmet

router = APIRouter(prefix="/admin/v1")

_NANO_A_TOKEN = 1_000_000  # a USD per 1,000 tokens is so many nano-USD a token
_DEAREST = 1000.0  # USD per 1,000 tokens

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$")]
Word = Annotated[str, Field(min_length=1, max_length=64)]
Usd = Annotated[float, Field(ge=0, le=_DEAREST, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=0, le=100_000_000)]


class TierOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    above_tokens: Annotated[int, Field(ge=1, le=100_000_000)]
    input_per_1k: Usd
    output_per_1k: Usd
    cached_per_1k: Usd | None = None
    cache_written_per_1k: Usd | None = None


class Changes(BaseModel):
    """What is left out stays as it is. Prices are USD per 1,000 tokens."""

    model_config = ConfigDict(extra="forbid")

    provider_id: Word | None = Field(default=None, validation_alias=AliasChoices("provider_id", "provider"))
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    enabled: bool | None = None
    weight: Annotated[float, Field(ge=0, le=MOST_WEIGHT, allow_inf_nan=False)] | None = None
    context_window: Tokens | None = Field(
        default=None, validation_alias=AliasChoices("context_window", "max_context_tokens")
    )
    max_output: Tokens | None = Field(default=None, validation_alias=AliasChoices("max_output", "max_output_tokens"))
    input_per_1k: Usd | None = None
    output_per_1k: Usd | None = None
    cached_per_1k: Usd | None = None
    cache_written_per_1k: Usd | None = None
    tiers: Annotated[list[TierOrder], Field(max_length=8)] | None = None
    capabilities: Annotated[list[Word], Field(max_length=32)] | dict[Word, bool] | None = None
    latency_ms: Annotated[float, Field(gt=0, le=600_000, allow_inf_nan=False)] | None = None
    deprecated_on: date | Literal[""] | None = None
    aliases: Annotated[list[Id], Field(max_length=16)] | None = None
    options: Options | None = None


class Order(Changes):
    id: Id


@router.post("/models")
async def upsert(order: Order, request: Request, admin: Admin) -> Json:
    """Replaces what was there. It is routable with the next request."""
    before = await offload(store.model, order.id)
    agree(request, before.rev if before else None)
    if order.provider_id is None:
        raise invalid("provider_id", "Field required")
    fresh = Model(order.id, order.provider_id, order.name or order.id, Price(0, 0), source="admin")
    return await _save(before, _changed(fresh, order), request, admin.id)


@router.get("/models")
async def listed(request: Request, _admin: Admin) -> Json:
    found = (await offload(store.all_of_it)).models
    today = exchange_of(request).at.date()
    return Json({"models": [shown(found[name], today) for name in sorted(found)]})


@router.get("/models/{model_id:path}")
async def one(model_id: str, request: Request, _admin: Admin) -> Json:
    model = await _known(model_id)
    return Json(shown(model, exchange_of(request).at.date()), headers=etag(model.rev))


@router.patch("/models/{model_id:path}")
async def change(model_id: str, changes: Changes, request: Request, admin: Admin) -> Json:
    model = await _known(model_id)
    agree(request, model.rev)
    return await _save(model, _changed(model, changes), request, admin.id)


@router.delete("/models/{model_id:path}")
async def remove(model_id: str, request: Request, admin: Admin) -> Json:
    model = await _known(model_id)
    if model_id == ECHO:
        raise Failure(Kind.CONFLICT, f"'{ECHO}' is always there: disable it instead")
    agree(request, model.rev)
    try:
        await offload(store.remove, "model", model_id, model.rev, audited("model.removed", model_id, {}, admin.id))
    except Unmet:
        raise lost() from None
    views().forget()
    return Json({"id": model_id, "deleted": True})


@router.get("/engine/models")
async def engine(request: Request, _admin: Admin) -> Json:
    """What this instance routes by: at most ten seconds old, at once where this instance made the change."""
    view, now = await views().current(), exchange_of(request).at
    routable = {model.id for model in view.routable()}
    models = [
        {
            **shown(model, now.date()),
            "routable": model.id in routable,
            "excluded": view.standing(model) or (None if model.id in routable else "a real provider is routable"),
            **_learned(view, model),
        }
        for _, model in sorted(view.catalogue.models.items())
    ]
    adapters = [
        {
            "id": provider.id,
            "provider_id": provider.id,
            "type": provider.kind,
            "enabled": provider.enabled,
            "configured": provider.id in view.keys,
            "state": view.present.of(provider.id).state.value,
            "cooling_seconds": round(view.present.of(provider.id).cooling(now), 3),
            "models": sum(model.provider == provider.id for model in view.catalogue.models.values()),
        }
        for _, provider in sorted(view.catalogue.providers.items())
    ]
    return Json({"models": models, "adapters": adapters, "generation": view.catalogue.generation})


def _learned(view: View, model: Model) -> dict[str, Any]:
    measured = view.present.learned.models.get(model.id)
    posteriors = view.present.learned.posteriors.get(model.id, {})
    return {
        "state": view.present.of(model.provider).state.value,
        "measured_latency_ms": measured.latency_ms if measured else None,
        "error_rate": measured.error_rate if measured else None,
        "posteriors": {bucket: {"alpha": alpha, "beta": beta} for bucket, (alpha, beta) in posteriors.items()},
    }


async def _known(model_id: str) -> Model:
    model = (await offload(store.all_of_it)).models.get(model_id)
    if model is None:
        raise Failure(Kind.NOT_FOUND, f"There is no model '{model_id}'")
    return model


async def _save(before: Model | None, after: Model, request: Request, actor: str) -> Json:
    catalogue = await offload(store.all_of_it)
    if after.provider not in catalogue.providers:
        raise invalid("provider_id", f"There is no provider '{after.provider}': POST /admin/v1/providers first")
    taken = {name for each in catalogue.models.values() if each.id != after.id for name in (each.id, *each.aliases)}
    if double := taken & {after.id, *after.aliases}:
        raise invalid("aliases", f"'{min(double)}' is the name of another model")
    now = exchange_of(request).at
    price = after.price
    if before is None or replace(before.price, version="") != replace(price, version=""):
        price = replace(price, version=iso(now))
    else:
        price = before.price
    after = replace(after, price=price, rev=(before.rev if before else 0) + 1, updated_at=iso(now))
    told = {"provider": after.provider, "enabled": after.enabled, "weight": after.weight, "price": price.version}
    event = audited("model.changed" if before else "model.created", after.id, told, actor)
    try:
        await offload(store.put_model, after, event)
    except Unmet:
        raise lost() from None
    views().forget()
    return Json(shown(after, now.date()), headers=etag(after.rev))


_PRICES = {
    "input": "input_per_1k",
    "output": "output_per_1k",
    "cached": "cached_per_1k",
    "cache_written": "cache_written_per_1k",
}
_PLAIN = ("name", "enabled", "weight", "context_window", "max_output", "latency_ms", "options")


def _changed(model: Model, changes: Changes) -> Model:
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    told: dict[str, Any] = {name: given[name] for name in _PLAIN if given.get(name) is not None}
    if given.get("provider_id"):
        told["provider"] = given["provider_id"]
    if given.get("capabilities") is not None:
        words = given["capabilities"]
        told["capabilities"] = normalised(
            [word for word, able in words.items() if able] if isinstance(words, dict) else words
        )
    if given.get("deprecated_on") is not None:
        told["deprecated_on"] = str(given["deprecated_on"])
    if given.get("aliases") is not None:
        told["aliases"] = tuple(dict.fromkeys(given["aliases"]))
    prices: dict[str, Any] = {ours: _nano(given[theirs]) for ours, theirs in _PRICES.items() if theirs in given}
    prices = {name: 0 if value is None and name in ("input", "output") else value for name, value in prices.items()}
    if given.get("tiers") is not None:
        prices["tiers"] = tuple(_tier(tier) for tier in sorted(given["tiers"], key=lambda tier: tier.above_tokens))
    return replace(model, **told, price=replace(model.price, **prices))


def _tier(order: TierOrder) -> Tier:
    return Tier(order.above_tokens, **{ours: _nano(getattr(order, theirs)) for ours, theirs in _PRICES.items()})  # type: ignore[arg-type]


def _nano(usd: float | None) -> int | None:
    """Per token: rounded up, for a price may be too high by a billionth but never too low."""
    return None if usd is None else -int(-round(usd * _NANO_A_TOKEN, 6) // 1)


def _usd(nano: int | None) -> float | None:
    return None if nano is None else nano / _NANO_A_TOKEN


def shown(model: Model, today: date) -> dict[str, Any]:
    price = model.price
    return {
        "id": model.id,
        "provider_id": model.provider,
        "name": model.name,
        "enabled": model.enabled,
        "weight": model.weight,
        "context_window": model.context_window,
        "max_output": model.max_output,
        **{theirs: _usd(getattr(price, ours)) for ours, theirs in _PRICES.items()},
        "tiers": [
            {"above_tokens": tier.above, **{theirs: _usd(getattr(tier, ours)) for ours, theirs in _PRICES.items()}}
            for tier in price.tiers
        ],
        "price_version": price.version,
        "capabilities": sorted(model.capabilities),
        "latency_ms": model.latency_ms,
        "deprecated_on": model.deprecated_on or None,
        "deprecated": model.deprecated(today),
        "aliases": list(model.aliases),
        "options": dict(model.options),
        "source": model.source or None,
        "source_date": model.source_date or None,
        "updated_at": model.updated_at or None,
        "rev": model.rev,
    }
