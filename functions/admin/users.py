"""Users: /admin/v1/users."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from admin.access import Admin, Pages, known
from admin.keys import keys
from quintet.events.audit import audited
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.model import ROLES, User
from quintet.identity.passwords import LONGEST, SHORTEST, Passwords, generated
from quintet.identity.store import users as table
from quintet.identity.users import Users
from quintet.store.clock import iso

router = APIRouter(prefix="/admin/v1/users")

_passwords = Passwords()
_NO_STORE = {"cache-control": "no-store"}

Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Roles = Annotated[list[str], Field(max_length=len(ROLES))]
Password = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Email
    username: Name | None = None
    name: Name | None = None
    roles: Roles = ["viewer"]
    password: Password | None = Field(default=None, repr=False)


class Changes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Email | None = None
    username: Name | None = None
    name: Name | None = None
    roles: Roles | None = None
    disabled: bool | None = None


class NewPassword(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: Password | None = Field(default=None, repr=False)


@router.post("")
async def create(new: NewUser, request: Request, admin: Admin) -> Json:
    """Without a password the user gets one, which the answer alone has."""
    known("roles", new.roles, ROLES)
    password = new.password or generated()
    user = await offload(
        users().create,
        new.email,
        password,
        username=new.username,
        name=new.name,
        roles=new.roles,
        actor=admin.id,
        now=exchange_of(request).at,
    )
    told = shown(user) if new.password else {**shown(user), "password": password}
    return Json(told, status_code=201, headers=_NO_STORE)


@router.get("")
async def listed(paging: Pages, _admin: Admin) -> Json:
    """Newest first."""
    page = await offload(table.page, paging)
    return Json({"users": [shown(user) for user in page.items], "next_cursor": page.after})


@router.get("/{user_id}")
async def one(user_id: str, _admin: Admin) -> Json:
    return Json(shown(await offload(users().get, user_id)))


@router.patch("/{user_id}")
async def change(user_id: str, changes: Changes, request: Request, admin: Admin) -> Json:
    """What is null is left as it is."""
    given = changes.model_dump(exclude_none=True)
    known("roles", given.get("roles", ()), ROLES)
    if "roles" in given:
        given["roles"] = tuple(given["roles"])
    user = await offload(users().change, user_id, given, actor=admin.id, now=exchange_of(request).at)
    return Json(shown(user))


@router.post("/{user_id}/password")
async def set_password(user_id: str, request: Request, admin: Admin, new: NewPassword | None = None) -> Json:
    """Without a password the user gets one, which the answer alone has."""
    given = new.password if new else None
    password = given or generated()
    user = await offload(users().set_password, user_id, password, actor=admin.id, now=exchange_of(request).at)
    return Json(shown(user) if given else {**shown(user), "password": password}, headers=_NO_STORE)


@router.delete("/{user_id}/sessions")
async def end_sessions(user_id: str, request: Request, admin: Admin) -> Json:
    user = await offload(users().end_sessions, user_id, actor=admin.id, now=exchange_of(request).at)
    return Json(shown(user))


@router.delete("/{user_id}")
async def remove(user_id: str, request: Request, admin: Admin) -> Json:
    await offload(users().remove, user_id, actor=admin.id, now=exchange_of(request).at)
    return Json({"id": user_id, "removed": True})


def users() -> Users:
    return Users(table, keys(), _passwords, audited)


def shown(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "username": user.username,
        "name": user.name,
        "roles": list(user.roles),
        "disabled": user.disabled,
        "created_at": iso(user.created_at),
        "last_login": iso(user.last_login) if user.last_login else None,
    }
