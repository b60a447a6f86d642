"""Who may talk to personas, and what they are called."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from quintet.http.exchange import Exchange
from quintet.identity.door import open_or_principal
from quintet.identity.model import Principal, PrincipalKind
from quintet.personas.callers import anonymous_name, call_in, name_of, phone_in, phone_of
from quintet.personas.chat.request import ChatRequest
from quintet.personas.model import Persona
from quintet.personas.store import notebook

_CALL_KEPT = timedelta(days=1)


async def speaker(request: Request) -> Principal:
    caller = await open_or_principal(request)
    caller.need("use_personas")
    return caller


Speaker = Annotated[Principal, Depends(speaker)]


async def onlooker(request: Request) -> Principal:
    """Whoever may watch the system may watch the personas: to look at them nobody needs to talk to them."""
    caller = await open_or_principal(request)
    if not caller.may("read_monitoring"):
        caller.need("use_personas")
    return caller


def scope_of(caller: Principal) -> str:
    """In an open stack callers are told apart by what they are called alone."""
    return "" if caller.kind is PrincipalKind.ANONYMOUS else caller.owner


async def caller_id(exchange: Exchange, asked: ChatRequest, caller: Principal, persona: Persona) -> str:
    """As tron.md has it; VAPI and ElevenLabs tell of their callers in the body.

    What is found out about a phone call is noted: its events, when they come, say no more than its id.
    """
    headers, body = exchange.headers, asked.more
    call = name_of(headers.get("x-vapi-call-id")) or call_in(body)
    known = await notebook.find(call) if call else {}
    phone = phone_of(headers.get("x-vapi-caller-phone")) or known.get("phone") or phone_in(body)
    asked_id = exchange.request_id if headers.get("x-request-id") == exchange.request_id else ""
    name = phone or asked_id or call or _conversation(asked) or anonymous_name()
    told = {"caller": name, "scope": scope_of(caller), "agent": persona.id}
    if call and any(known.get(fact) != value for fact, value in told.items()):
        await notebook.note(call, told, exchange.at + _CALL_KEPT)
    return name


def _conversation(asked: ChatRequest) -> str:
    extra = asked.more.get("elevenlabs_extra_body")
    told = extra.get("conversation_id") if isinstance(extra, dict) else None
    return name_of(told) or name_of(asked.more.get("user_id"))
