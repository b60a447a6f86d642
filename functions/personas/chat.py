"""OpenAI's chat completions: /chat/completions, /v1/chat/completions."""

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from personas.access import Speaker, caller_id, scope_of
from personas.bodies import json_body
from personas.catalogue import known_model
from personas.services import clock, direct, talk
from quintet.errors import Failure
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.http.answers import Json
from quintet.http.dialects import OPENAI
from quintet.http.exchange import Exchange, exchange_of
from quintet.http.leaving import while_connected
from quintet.http.sse import EventStream, frame
from quintet.personas.callers import call_in
from quintet.personas.cast import cast
from quintet.personas.chat.answers import Answering
from quintet.personas.chat.request import ChatRequest, chat_request
from quintet.personas.doing import Line
from quintet.personas.refusals import misnamed
from quintet.personas.talk import Turn
from quintet.store.clock import epoch

router = APIRouter()

_AUTO = "auto"


@router.post("/chat/completions")
@router.post("/v1/chat/completions")
async def complete(request: Request, caller: Speaker) -> Response:
    """`model` names a persona, or a model, or leaves the choice to the gateway; anything else is for Tony."""
    asked = chat_request(await json_body(request))
    answering = _answer(exchange_of(request), caller, asked)
    return await (answering if asked.stream else while_connected(request, answering))


async def _answer(exchange: Exchange, caller: Speaker, asked: ChatRequest) -> Response:
    persona = cast().find(asked.model)
    if persona is None and (asked.model == _AUTO or await known_model(asked.model)):
        return await straight(exchange, caller, asked)
    known, persona = persona is not None or not asked.model, persona or cast().first
    name = await caller_id(exchange, asked, caller, persona)
    line = Line(persona, name, scope_of(caller), permissions=caller.permissions, **_channel(exchange, asked))
    try:
        return await answered(exchange, caller, asked, line)
    except Failure as failure:
        raise failure if known else misnamed(failure, asked.model, persona.name) from failure


async def straight(exchange: Exchange, caller: Speaker, asked: ChatRequest) -> Response:
    model = None if asked.model == _AUTO else asked.model
    payer, journal = payer_of(exchange, caller), RequestJournal(exchange)
    answering = Answering(asked.model, epoch(exchange.at), functions=asked.functions, include_usage=asked.include_usage)
    if asked.stream:
        return await streamed(exchange, direct().begin(model, asked, payer, journal), answering, named=False)
    outcome = await direct().complete(model, asked, payer, journal)
    answering.model = answering.fingerprint = outcome.model
    return Json(answering.whole(outcome.choices, outcome.usage))


async def answered(exchange: Exchange, caller: Speaker, asked: ChatRequest, line: Line) -> Response:
    """In a persona's voice."""
    exchange.facts["persona"] = line.persona.id
    answering = Answering(
        line.persona.id, epoch(clock.now()), functions=asked.functions, include_usage=asked.include_usage
    )
    turn = talk().begin(line, asked, payer_of(exchange, caller), RequestJournal(exchange))
    if asked.stream:
        return await streamed(exchange, turn, answering)
    async with turn:
        outcome = await turn.whole()
    answering.fingerprint = outcome.model
    return Json(answering.whole(outcome.choices, outcome.usage), headers={"x-process-id": turn.process_id})


async def streamed(exchange: Exchange, turn: Turn, answering: Answering, *, named: bool = True) -> Response:
    """What goes wrong before the first word is an answer of its own."""
    try:
        await turn.ready()
    except BaseException:
        await turn.aclose()
        raise
    answering.fingerprint = turn.model
    if not named:
        answering.model = turn.model
    return EventStream(_frames(turn, answering), on_error=lambda failure: broken(exchange, failure))


def broken(exchange: Exchange, failure: Failure) -> bytes:
    """An error in the middle, as OpenAI's clients read it."""
    return frame(Json({}).render(OPENAI.body(failure, exchange.at, exchange.request_id)).decode())


async def _frames(turn: Turn, answering: Answering) -> AsyncGenerator[bytes, None]:
    try:
        for chunk in answering.first():
            yield chunk
        async for delta in turn:
            for chunk in answering.pieces(delta):
                yield chunk
        for chunk in answering.last(turn.outcome.usage):
            yield chunk
    finally:
        await turn.aclose()


def _channel(exchange: Exchange, asked: ChatRequest) -> dict[str, Any]:
    by_phone = any(name in exchange.headers for name in ("x-vapi-call-id", "x-vapi-caller-phone"))
    if by_phone or call_in(asked.more):
        return {"channel": "voice", "task": "Handle incoming voice call"}
    return {"channel": "chat", "task": "Answer a chat"}
