"""What routing goes by where a request says nothing: /admin/v1/routing-config."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from admin.access import Admin
from admin.etags import agree, etag, lost
from quintet.errors import invalid
from quintet.events.audit import audited
from quintet.gateway.catalogue import store
from quintet.gateway.catalogue.model import Defaults
from quintet.gateway.directives import MOST_MS, MOST_USD, MOST_WEIGHT
from quintet.gateway.live import views
from quintet.gateway.model import NANO
from quintet.gateway.routing import MODES
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.store.clock import iso
from quintet.store.transactions import Unmet

router = APIRouter(prefix="/admin/v1/routing-config")

_TOLD_BESIDE = {"updated_at", "rev", "modes"}


class Order(BaseModel):
    """What is left out stays as it is, and so does what GET tells beside."""

    model_config = ConfigDict(extra="allow")

    mode: str | None = Field(default=None, validation_alias=AliasChoices("mode", "default_mode"))
    max_budget_usd: Annotated[float, Field(ge=0, le=MOST_USD, allow_inf_nan=False)] | None = Field(
        default=None, validation_alias=AliasChoices("max_budget_usd", "default_max_budget_usd", "budget")
    )
    max_latency_ms: Annotated[int, Field(ge=0, le=MOST_MS)] | None = Field(
        default=None, validation_alias=AliasChoices("max_latency_ms", "default_max_latency_ms", "latency")
    )
    min_weight: Annotated[float, Field(ge=0, le=MOST_WEIGHT, allow_inf_nan=False)] | None = Field(
        default=None, validation_alias=AliasChoices("min_weight", "default_min_weight")
    )


@router.get("")
async def get(_admin: Admin) -> Json:
    """Those in force, also before anybody has set any."""
    return _told(await offload(store.defaults))


@router.put("")
async def put(order: Order, request: Request, admin: Admin) -> Json:
    before = await offload(store.defaults)
    agree(request, before.rev)
    if order.mode is not None and order.mode not in MODES:
        raise invalid("mode", f"Must be one of: {', '.join(sorted(MODES))}")
    for name in sorted((order.model_extra or {}).keys() - _TOLD_BESIDE):
        raise invalid(name, f"There is no such default: {', '.join(Order.model_fields)}")
    changes: dict[str, Any] = order.model_dump(exclude_none=True, include=set(Order.model_fields))
    if "max_budget_usd" in changes:
        changes["max_budget"] = round(changes.pop("max_budget_usd") * NANO)
    after = replace(before, **changes, rev=before.rev + 1, updated_at=iso(exchange_of(request).at))
    event = audited("routing.changed", "routing-config", {**_shown(after)}, admin.id)
    try:
        await offload(store.put_defaults, after, event)
    except Unmet:
        raise lost() from None
    views().forget()
    return _told(after)


def _told(defaults: Defaults) -> Json:
    return Json({**_shown(defaults), "modes": sorted(MODES)}, headers=etag(defaults.rev))


def _shown(defaults: Defaults) -> dict[str, Any]:
    return {
        "mode": defaults.mode,
        "max_budget_usd": defaults.max_budget / NANO,
        "max_latency_ms": defaults.max_latency_ms,
        "min_weight": defaults.min_weight,
        "updated_at": defaults.updated_at or None,
        "rev": defaults.rev,
    }
