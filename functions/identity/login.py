"""kyros.md's logins: a password for tokens, a token for newer ones, and who one is."""

from base64 import b64decode
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from identity.bodies import form_or_json
from identity.services import door, logins
from quintet.errors import invalid
from quintet.http.answers import Json, envelope
from quintet.http.exchange import Exchange, exchange_of
from quintet.http.work import offload
from quintet.identity.credentials import Credential, refused
from quintet.identity.door import principal
from quintet.identity.logins import Grant
from quintet.identity.minting import minted
from quintet.identity.model import Principal
from quintet.identity.store import users
from quintet.identity.terms import terms
from quintet.identity.tokens import keyring
from quintet.store.clock import iso

router = APIRouter(prefix="/v1/auth")

_NO_STORE = {"cache-control": "no-store"}

Name = Annotated[str, Field(min_length=1, max_length=320)]
Secret = Annotated[str, Field(min_length=1, max_length=8192)]


class Login(BaseModel):
    username: Name
    password: Secret = Field(repr=False)


class Refresh(BaseModel):
    refresh_token: Secret = Field(repr=False)


class Order(BaseModel):
    """OAuth2's token request."""

    grant_type: Literal["password", "refresh_token", "client_credentials"]
    username: Name | None = None
    password: Secret | None = Field(default=None, repr=False)
    refresh_token: Secret | None = Field(default=None, repr=False)
    client_id: Name | None = None
    client_secret: Secret | None = Field(default=None, repr=False)
    scope: str | None = Field(default=None, max_length=2048)


@router.post("/login")
async def log_in(given: Annotated[Login, Depends(form_or_json(Login))], request: Request) -> Json:
    exchange = exchange_of(request)
    grant = await (await logins()).log_in(given.username, given.password, exchange.at)
    return granted(exchange, grant, "Logged in")


@router.post("/refresh")
async def refresh(given: Annotated[Refresh, Depends(form_or_json(Refresh))], request: Request) -> Json:
    exchange = exchange_of(request)
    grant = await offload((await logins()).refresh, given.refresh_token, exchange.at)
    return granted(exchange, grant, "Token refreshed")


@router.post("/token")
async def token(order: Annotated[Order, Depends(form_or_json(Order))], request: Request) -> Json:
    exchange = exchange_of(request)
    if order.grant_type == "password":
        given = Login(username=_needed(order, "username"), password=_needed(order, "password"))
        return await log_in(given, request)
    if order.grant_type == "refresh_token":
        return await refresh(Refresh(refresh_token=_needed(order, "refresh_token")), request)
    client_id, client_secret = _basic(request) or (order.client_id, _needed(order, "client_secret"))
    caller = await door.authenticate(Credential(client_secret, bearer=False), exchange.at)
    if caller.key_id is None or client_id not in {None, caller.key_id, caller.id}:
        raise refused("Invalid client credentials", error="invalid_client")
    scopes = None if order.scope is None else order.scope.split()
    claims = minted(caller, caller.id, (await terms()).access, exchange.at, scopes)
    return envelope(
        exchange,
        {
            "access_token": (await offload(keyring)).sign(claims, exchange.at),
            "token_type": "bearer",
            "expires_in": (claims.expires_at - exchange.at) // timedelta(seconds=1),
            "scope": " ".join(claims.scopes),
        },
        headers=_NO_STORE,
    )


@router.get("/me")
async def me(request: Request, caller: Annotated[Principal, Depends(principal)]) -> Json:
    return envelope(exchange_of(request), await offload(_profile, caller))


def granted(exchange: Exchange, grant: Grant, message: str) -> Json:
    return envelope(
        exchange,
        {
            "access_token": grant.access_token,
            "token_type": "bearer",
            "expires_in": grant.expires_in,
            "refresh_token": grant.refresh_token,
            "user": {"id": grant.user.id, "email": grant.user.email, "roles": list(grant.user.roles)},
        },
        message,
        headers=_NO_STORE,
    )


def _profile(caller: Principal) -> dict[str, Any]:
    """A key acts for its owner: whoever calls with one sees the owner's account, and what the key itself may do."""
    user = users.get(caller.id)
    return {
        "id": caller.id,
        "email": user.email if user else caller.email,
        "name": user.name if user else caller.name,
        "roles": list(caller.roles),
        "permissions": sorted(caller.permissions),
        "created_at": iso(user.created_at) if user else None,
        "last_login": iso(user.last_login) if user and user.last_login else None,
    }


def _needed(order: Order, field: str) -> str:
    value: str | None = getattr(order, field)
    if value is None:
        issue = f"Required with grant_type {order.grant_type}"
        raise invalid(field, issue)
    return value


def _basic(request: Request) -> tuple[str, str] | None:
    """A client may name itself in the header instead: `Basic`, as OAuth2 wants it."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        raise refused("Invalid client credentials", error="invalid_client") from None
    return name, secret
