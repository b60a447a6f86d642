"""ElevenLabs' custom LLM: /v1/elevenlabs-llm, also with the path that ElevenLabs appends."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from personas.access import Speaker, caller_id, scope_of
from personas.bodies import json_body
from personas.chat import answered, broken
from personas.services import talk
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.gateway.model import Delta
from quintet.http.exchange import exchange_of
from quintet.http.sse import EventStream
from quintet.personas.cast import cast
from quintet.personas.chat.answers import Answering
from quintet.personas.chat.request import chat_request
from quintet.personas.doing import Line
from quintet.personas.elevenlabs.sentences import Sentences
from quintet.personas.talk import Turn
from quintet.store.clock import epoch

router = APIRouter(prefix="/v1/elevenlabs-llm")


@router.post("")
@router.post("/chat/completions")
async def complete(request: Request, caller: Speaker) -> Response:
    """The first chunk comes at once, what is said comes by the sentence."""
    exchange = exchange_of(request)
    asked = chat_request(await json_body(request))
    persona = cast().find(asked.model) or cast().first
    name = await caller_id(exchange, asked, caller, persona)
    line = Line(persona, name, scope_of(caller), "voice", "Hold a conversation", caller.permissions)
    if not asked.stream:
        return await answered(exchange, caller, asked, line)
    exchange.facts["persona"] = persona.id
    turn = talk().begin(line, asked, payer_of(exchange, caller), RequestJournal(exchange))
    answering = Answering(persona.id, epoch(exchange.at), functions=asked.functions, include_usage=asked.include_usage)
    return EventStream(_spoken(turn, answering), on_error=lambda failure: broken(exchange, failure))


async def _spoken(turn: Turn, answering: Answering) -> AsyncGenerator[bytes, None]:
    sentences = Sentences()
    try:
        for chunk in answering.first():
            yield chunk
        await turn.ready()
        answering.fingerprint = turn.model
        async for delta in turn:
            for piece in _by_sentence(sentences, delta):
                for chunk in answering.pieces(piece):
                    yield chunk
        for chunk in answering.last(turn.outcome.usage):
            yield chunk
    finally:
        await turn.aclose()


def _by_sentence(sentences: Sentences, delta: Delta) -> list[Delta]:
    """Whatever is no text waits for the sentence before it."""
    if delta.choice != 0 or delta.logprobs is not None:
        return [delta]
    pieces = [Delta(text=sentence) for sentence in sentences.add(delta.text)]
    if delta.finish_reason is not None or delta.tool_index is not None or delta.refusal:
        rest = sentences.rest()
        pieces += [Delta(text=rest)] if rest else []
        pieces.append(replace(delta, text=""))
    return pieces
