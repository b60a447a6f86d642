"""For testing and demos: /internal/life/trigger; for Caddy: /internal/caddy-ask."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request

from personas.access import Speaker
from quintet.errors import Failure, Kind
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.personas.cast import cast
from quintet.personas.life.live import life
from quintet.personas.model import Activity, Persona
from quintet.settings import settings

router = APIRouter(prefix="/internal")

_PATH = "/internal/life/trigger"


@router.api_route("/life/trigger", methods=["GET", "POST"])
async def trigger(request: Request, caller: Speaker, activity: str = "", persona: str = "") -> Json:
    """Whatever the hour is. tron.md says POST, and its examples GET."""
    if not activity:
        return _unknown("Missing 'activity' query parameter", examples=True)
    if activity not in set(Activity):
        return _unknown(f"Unknown activity '{activity[:64]}'")
    wanted = Activity(activity)
    exchange = exchange_of(request)
    exchange.facts["activity"] = wanted.value
    living, payer, journal = await life(), payer_of(exchange, caller), RequestJournal(exchange)
    if persona:
        found = cast().find(persona)
        if found is None:
            return _unknown(f"Unknown persona '{persona[:64]}'")
        result = await living.live(found, wanted, payer, journal)
        return Json({"persona": found.name, "activity": wanted.value, "result": result})

    async def one(each: Persona) -> str:
        try:
            return await living.live(each, wanted, payer, journal)
        except Failure as failure:
            return f"Failed: {failure.told}"

    results = await asyncio.gather(*map(one, cast().personas))
    return Json({"activity": wanted.value, "results": dict(zip(cast().names, results, strict=True))})


@router.get("/caddy-ask")
async def caddy_ask(domain: str = "") -> Json:
    """Whether Caddy may get a certificate for a host. It shows no credentials, and learns nothing else."""
    host = domain.strip().lower().removesuffix(".")
    if not host:
        raise Failure(Kind.INVALID, "domain: Field required", details={"field": "domain"})
    if host not in _hosts():
        raise Failure(Kind.FORBIDDEN, "This host is not served here")
    return Json({"allowed": True})


def _hosts() -> set[str]:
    told = settings().caddy_allowed_hosts.split(",")
    ours = urlsplit(settings().public_url).hostname or ""
    return {each.strip().lower().removesuffix(".") for each in [*told, ours]} - {""}


def _unknown(error: str, *, examples: bool = False) -> Json:
    told: dict[str, Any] = {"error": error, "activities": [each.value for each in Activity], "personas": cast().names}
    if examples:
        told["examples"] = [
            f"{_PATH}?activity=post&persona={cast().first.name}",
            f"{_PATH}?activity=post (triggers all personas)",
        ]
    return Json(told, status_code=400)
