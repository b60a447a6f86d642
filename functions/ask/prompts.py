"""Asking: whole answers and streams, in the open or sealed."""

from quintet.http.app import exchange

import json
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ask.services import asking, opener
from quintet.ask.asking import Streamed
from quintet.ask.bodies import object_of
from quintet.ask.envelope.model import Place, read
from quintet.ask.envelope.opening import Opened
from quintet.ask.model import Answered, Question, correlation_of
from quintet.ask.questions import question_of, wants_stream
from quintet.errors import Failure, Kind
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.http.answers import Json
from quintet.http.dialects import TORON
from quintet.http.exchange import Exchange
from quintet.http.leaving import while_connected
from quintet.http.sse import EventStream, frame
from quintet.identity.door import provisional_principal
from quintet.identity.model import Principal

T = TypeVar("T")

PERMISSION = "call_models"
_QUIET = {
    Kind.EXHAUSTED: "The budget of this caller is spent",
    Kind.FORBIDDEN: "This caller may not ask",
    Kind.INVALID: "The sealed part of the request is not valid",
    Kind.LIMITED: "Too many requests for now",
    Kind.NOT_FOUND: "There is no model of this name: GET /api/v1/models lists those there are",
    Kind.TOO_LARGE: "The prompt is too large",
    Kind.UNAUTHENTICATED: "These credentials do not count any more",
    Kind.UPSTREAM: "No model could answer",
}

router = APIRouter(prefix="/api/v1")


async def may_ask(caller: Annotated[Principal, Depends(provisional_principal)]) -> Principal:
    """The ledger's own write of the caller's account finds out whether it still stands."""
    caller.need(PERMISSION)
    return caller


Caller = Annotated[Principal, Depends(may_ask)]
Asked = Annotated[Exchange, Depends(exchange)]


@router.post("/ask")
async def ask(request: Request, asked: Asked, caller: Caller) -> Response:
    given, opened = await _body(request, asked, caller)
    body = opened.laid_over(given) if opened else given
    question = question_of(body)
    if wants_stream(body):
        return await _stream(question, opened, asked, caller)
    began = time.perf_counter()
    answering = asking().answer(question, payer_of(asked, caller), RequestJournal(asked))
    answered = await while_connected(request, _discreet(answering, opened))
    latency = round((time.perf_counter() - began) * 1000)
    return Json(_answer(asked, answered, opened, latency) | {"metadata": given.get("metadata") or {}})


@router.post("/stream")
async def stream(request: Request, asked: Asked, caller: Caller) -> Response:
    given, opened = await _body(request, asked, caller)
    body = opened.laid_over(given) if opened else given
    wants_stream(body)
    return await _stream(question_of(body), opened, asked, caller)


@router.get("/stream")
async def stream_query(request: Request, asked: Asked, caller: Caller) -> Response:
    """As documented, with the prompt in the query; neither is ever logged."""
    names = ("prompt", "model", "system")
    given: dict[str, Any] = {name: request.query_params[name] for name in names if request.query_params.get(name)}
    return await _stream(question_of(given), None, asked, caller)


async def _body(request: Request, asked: Exchange, caller: Principal) -> tuple[Mapping[str, Any], Opened | None]:
    """The request's body, and what was sealed in it. The caller's own id of it is taken from what is open."""
    body = object_of(await request.body())
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise Failure(Kind.INVALID, "metadata: Must be an object", details={"field": "metadata"})
    asked.named(correlation_of(metadata or {}))
    if body.get("encryption") is None:
        return body, None
    asked.facts["sealed"] = True
    envelope = read(body["encryption"])
    place = Place(asked.method, asked.path.rstrip("/"), subject_of(caller))
    return body, await opener().open(envelope, body, place, asked.at)


def subject_of(caller: Principal) -> str:
    """What a sealed prompt is bound to: the API key; callers without one are bound by their name."""
    return caller.key_id or caller.owner


def _answer(asked: Exchange, answered: Answered, opened: Opened | None, latency_ms: int) -> dict[str, Any]:
    sealed = opened is not None and opened.envelope.respond
    answer: dict[str, Any] = {
        "id": asked.record_id,
        "status": "ok",
        "output": None if sealed else answered.output,
        "tokens": answered.tokens,
        "latency_ms": latency_ms,
        "models_used": list(answered.models),
        "metadata": {},
        "error": None,
    }
    if answered.agreement is not None:
        answer["agreement"] = round(answered.agreement, 4)
        answer["answers"] = [
            {
                "model": reply.model,
                "status": "error" if reply.failure else "ok",
                "output": None if sealed or reply.failure else reply.output,
                "tokens": reply.tokens,
                "latency_ms": reply.latency_ms,
                "error": reply.failure,
            }
            for reply in answered.replies
        ]
    if sealed:
        assert opened is not None
        answer["encryption"] = opened.seal(answered.output, asked.record_id)
        for place, told in enumerate(answer.get("answers", ())):
            if not told["error"]:
                told["encryption"] = opened.seal(answered.replies[place].output, asked.record_id, f"answers.{place}")
    return answer


async def _stream(question: Question, opened: Opened | None, asked: Exchange, caller: Principal) -> Response:
    """What goes wrong before the first token is an ordinary answer."""
    beginning = asking().stream(question, payer_of(asked, caller), RequestJournal(asked))
    streamed = await _discreet(beginning, opened)
    return EventStream(_events(streamed, opened, asked), on_error=lambda failure: _broken(failure, opened, asked))


async def _events(streamed: Streamed, opened: Opened | None, asked: Exchange) -> AsyncGenerator[bytes, None]:
    sealed = opened is not None and opened.envelope.respond
    index = 0
    try:
        async for token in streamed.pump.pieces():
            told: dict[str, Any] = {"token": token, "index": index}
            if sealed:
                assert opened is not None
                sealed_token = opened.seal(token, asked.record_id, f"token.{index}")
                told = {"index": index, "id": asked.record_id, "encryption": sealed_token}
            yield frame(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
            index += 1
        yield frame("[DONE]")
    finally:
        asked.facts["sse_events"] = index
        await streamed.pump.close()


def _broken(failure: Failure, opened: Opened | None, asked: Exchange) -> bytes:
    body = TORON.body(_quiet(failure) if opened else failure, asked.at, asked.request_id)
    return frame(json.dumps(body, ensure_ascii=False), event="error")


async def _discreet(work: Coroutine[Any, Any, T], opened: Opened | None) -> T:
    """What goes wrong with a sealed prompt is told in words that cannot quote it."""
    try:
        return await work
    except Failure as failure:
        if opened is None:
            raise
        raise _quiet(failure) from None


def _quiet(failure: Failure) -> Failure:
    return Failure(
        failure.kind, _QUIET.get(failure.kind, "The request could not be answered"), retry_after=failure.retry_after
    )
