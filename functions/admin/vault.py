"""The vault of the vendors' keys: /admin/v1/vault."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from admin.access import Admin
from quintet.gateway.live import views
from quintet.gateway.vault.live import vault
from quintet.gateway.vault.model import LONGEST, SHORTEST, Status
from quintet.http.answers import Json
from quintet.store.clock import iso

router = APIRouter(prefix="/admin/v1/vault")

Password = Annotated[str, Field(min_length=1, max_length=LONGEST, repr=False)]


class Unlock(BaseModel):
    model_config = ConfigDict(extra="forbid")

    admin_password: Password


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    admin_password: Password = Field(validation_alias=AliasChoices("admin_password", "old_password"))
    new_password: Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST, repr=False)]


@router.post("/unlock")
async def unlock(given: Unlock, admin: Admin) -> Json:
    """The first one sets the password."""
    return _told(await vault().unlock(given.admin_password, admin.id))


@router.post("/lock")
async def lock(admin: Admin) -> Json:
    return _told(await vault().lock(admin.id))


@router.post("/rotate")
async def rotate(given: Rotation, admin: Admin) -> Json:
    return _told(await vault().rotate(given.admin_password, given.new_password, admin.id))


@router.get("/status")
async def status(_admin: Admin) -> Json:
    return _shown(await vault().status())


def _told(status: Status) -> Json:
    views().forget()  # which providers are configured may have changed
    return _shown(status)


def _shown(status: Status) -> Json:
    told: dict[str, Any] = {
        "status": "unlocked" if status.unlocked else "locked",
        "initialized": status.initialized,
        "unlocked": status.unlocked,
        "locked": not status.unlocked,
        "expires_at": iso(status.expires_at) if status.expires_at else None,
        "providers": list(status.providers),
    }
    return Json(told, headers={"cache-control": "no-store"})
