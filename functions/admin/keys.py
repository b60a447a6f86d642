"""API keys: /admin/v1/keys."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from admin.access import Admin, Pages, known
from quintet.errors import Failure, Kind
from quintet.events.audit import audited
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.moments import Moment
from quintet.http.work import offload
from quintet.identity.keys import Keys
from quintet.identity.model import ROLES, SCOPES, ApiKey
from quintet.identity.store import accounts
from quintet.identity.store import keys as table
from quintet.settings import settings
from quintet.store.clock import iso

router = APIRouter(prefix="/admin/v1/keys")

Words = Annotated[list[str], Field(max_length=64)]


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    owner: str | None = Field(default=None, min_length=1, max_length=255)
    roles: Words = []
    scopes: Words = []
    expires_at: Moment | None = None


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    overlap_seconds: int = Field(default=3600, ge=0, le=30 * 86_400)


@router.post("")
async def issue(order: Order, request: Request, admin: Admin) -> Json:
    """The answer alone has the secret. Without an owner the key is the caller's own."""
    now = exchange_of(request).at
    known("roles", order.roles, ROLES)
    known("scopes", order.scopes, SCOPES)
    if order.expires_at is not None and order.expires_at <= now:
        raise Failure(Kind.INVALID, "expires_at: Must lie ahead", details={"field": "expires_at"})
    issued = await offload(
        keys().issue,
        order.name,
        order.owner or admin.id,
        roles=order.roles,
        scopes=order.scopes,
        expires_at=order.expires_at,
        actor=admin.id,
        now=now,
    )
    return Json({**shown(issued.key), "key": issued.secret}, status_code=201, headers={"cache-control": "no-store"})


@router.get("")
async def listed(paging: Pages, _admin: Admin, owner: Annotated[str | None, Query(max_length=255)] = None) -> Json:
    """Newest first."""
    page = await offload(table.page, paging, owner)
    used = await offload(accounts.last_used, [key.account for key in page.items])
    found = [shown(key, used.get(key.account)) for key in page.items]
    return Json({"keys": found, "next_cursor": page.after})


@router.get("/{key_id}")
async def one(key_id: str, _admin: Admin) -> Json:
    key = await offload(keys().get, key_id)
    used = await offload(accounts.last_used, [key.account])
    return Json(shown(key, used.get(key.account)))


@router.post("/{key_id}/rotate")
async def rotate(key_id: str, request: Request, admin: Admin, rotation: Rotation | None = None) -> Json:
    now = exchange_of(request).at
    overlap = timedelta(seconds=(rotation or Rotation()).overlap_seconds)
    issued = await offload(keys().rotate, key_id, overlap, actor=admin.id, now=now)
    ends = iso(issued.previous_ends_at) if issued.previous_ends_at else None
    told = {**shown(issued.key), "key": issued.secret, "old_key_expires_at": ends}
    return Json(told, headers={"cache-control": "no-store"})


@router.delete("/{key_id}")
async def revoke(key_id: str, request: Request, admin: Admin) -> Json:
    return Json(shown(await offload(keys().revoke, key_id, actor=admin.id, now=exchange_of(request).at)))


def keys() -> Keys:
    return Keys(table, settings().stage, audited)


def shown(key: ApiKey, last_used: datetime | None = None) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "roles": list(key.roles),
        "scopes": list(key.scopes),
        "hint": key.hint,
        "created_at": iso(key.created_at),
        "expires_at": iso(key.expires_at) if key.expires_at else None,
        "revoked_at": iso(key.revoked_at) if key.revoked_at else None,
        "last_used": iso(last_used) if last_used else None,
    }
