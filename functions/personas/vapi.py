"""VAPI's server events: /vapi/events."""

import asyncio

from fastapi import APIRouter, Request

from personas.access import speaker
from personas.bodies import parsed
from personas.services import phone
from quintet.errors import Failure, Kind
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.gateway.model import Payer
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.model import Principal
from quintet.personas.cast import cast
from quintet.personas.paying import house_payer
from quintet.personas.vapi.events import event_of
from quintet.personas.vapi.phone import ANSWER_SECONDS, Answering
from quintet.personas.vapi.signing import Signing, Trust, key_of
from quintet.settings import settings
from quintet.store.secrets import secret

router = APIRouter(prefix="/vapi")

_FORGED = "The request does not show VAPI's secret, or is not signed with it, or its timestamp is five minutes off"


@router.post("/events")
async def events(request: Request) -> Json:
    body = await request.body()
    exchange = exchange_of(request)
    payer = await _admitted(request, body)
    event = event_of(parsed(body))
    exchange.facts["vapi"] = event.type[:64]
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return Json(await phone().heard(event, await _answering(), payer, RequestJournal(exchange)))
    except TimeoutError:
        raise Failure(Kind.TIMEOUT, "VAPI does not wait any longer") from None


async def _admitted(request: Request, body: bytes) -> Payer:
    """Once a secret is configured nobody comes in without it, but those whose own credentials count."""
    exchange = exchange_of(request)
    trust = await _trust()
    if trust.configured:
        if trust.accepts(exchange.headers, body, exchange.at):
            return house_payer("vapi")
        if not isinstance(exchange.caller, Principal):
            raise Failure(Kind.UNAUTHENTICATED, _FORGED)
    return payer_of(exchange, await speaker(request))


async def _trust() -> Trust:
    configured = settings()
    key = await offload(secret, "vapi_hmac_secret")
    try:
        signing = Signing(
            key_of(key, is_base64=configured.vapi_hmac_secret_is_base64),
            configured.vapi_hmac_algorithm,
            configured.vapi_hmac_encoding,
            configured.vapi_hmac_header.lower(),
            configured.vapi_hmac_timestamp_header.lower(),
            configured.vapi_hmac_id_header.lower(),
            configured.vapi_hmac_format,
            configured.vapi_hmac_prefix,
        )
    except ValueError:
        raise Failure(Kind.UNAVAILABLE, "VAPI_HMAC_SECRET is not valid base64") from None
    return Trust(await offload(secret, "vapi_secret"), signing)


async def _answering() -> Answering:
    persona = cast().find(settings().vapi_assistant_persona) or cast().first
    return Answering(persona, settings().public_url.rstrip("/"), await offload(secret, "vapi_api_key"))
