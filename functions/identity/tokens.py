"""cyborgmind.md's token endpoint."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, BaseModel, Field

from quintet.errors import invalid
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.door import open_or_principal
from quintet.identity.minting import minted
from quintet.identity.model import Principal
from quintet.identity.terms import terms
from quintet.identity.tokens import keyring

router = APIRouter()

_LONGEST_SUBJECT = 255


def _name(subject: str) -> str:
    """Part of keys in tables and of lines in logs."""
    if not subject.isprintable() or len(subject.encode()) > _LONGEST_SUBJECT:
        raise ValueError(f"Must be printable text of at most {_LONGEST_SUBJECT} bytes")
    return subject


class Order(BaseModel):
    subject: Annotated[str, Field(min_length=1), AfterValidator(_name)]
    expiry_minutes: int | None = Field(default=None, ge=1)


async def ready() -> None:
    """Who cannot get a token because there are none should hear that, not that a credential is missing."""
    await offload(keyring)


@router.post("/auth/token", dependencies=[Depends(ready)])
async def mint(order: Order, request: Request, by: Annotated[Principal, Depends(open_or_principal)]) -> Json:
    now = exchange_of(request).at
    claims = minted(by, order.subject, await _lifetime(order.expiry_minutes), now)
    return Json(
        {
            "access_token": (await offload(keyring)).sign(claims, now),
            "token_type": "bearer",
            "expires_at": claims.expires_at.strftime("%Y-%m-%dT%H:%M:%S"),
            "subject": claims.subject,
        },
        headers={"cache-control": "no-store"},
    )


async def _lifetime(minutes: int | None) -> timedelta:
    known = await terms()
    if minutes is None:
        return known.access
    most = known.longest // timedelta(minutes=1)
    if minutes > most:
        issue = f"Must be at most {most}"
        raise invalid("expiry_minutes", issue)
    return timedelta(minutes=minutes)
