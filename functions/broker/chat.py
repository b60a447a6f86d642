"""POST /v1/chat: one answer from the model that fits best, whole or as a stream."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from broker.requests import Chat, body_of, chat_of
from quintet.errors import Failure
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.gateway.live import gateway
from quintet.gateway.model import NANO, Completion, Stream, Usage
from quintet.gateway.openai_shapes import chunk_body, completion_body
from quintet.http.answers import Json
from quintet.http.dialects import BROKER
from quintet.http.exchange import Exchange, exchange_of
from quintet.http.leaving import while_connected
from quintet.http.sse import EventStream, frame
from quintet.identity.door import provisional_principal
from quintet.identity.model import Principal

router = APIRouter()
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # `dumps` would make one for every piece


async def may_call(request: Request) -> Principal:
    """The reservation confirms that the caller still stands: it writes the account anyway."""
    caller = await provisional_principal(request)
    caller.need("call_models")
    return caller


Caller = Annotated[Principal, Depends(may_call)]


@router.post("/v1/chat")
async def chat(request: Request, caller: Caller) -> Any:
    exchange, body = exchange_of(request), await body_of(request)
    asked = chat_of(body)
    exchange.named(body["request"].get("id"))
    if asked.stream:
        return await _streamed(exchange, caller, asked)
    answering = gateway().complete(asked.ask, asked.terms, payer_of(exchange, caller), RequestJournal(exchange))
    done = await while_connected(request, answering)
    return Json(
        {
            "negotiated_model": done.model,
            "estimated_cost_usd": done.estimated / NANO,
            "routing_reason": done.reason,
            "response": completion_body(done, exchange.at) if done.raw is None else done.raw,
            **_account(exchange, done),
        }
    )


async def _streamed(exchange: Exchange, caller: Principal, asked: Chat) -> EventStream:
    """Begun before the status is sent: what fails before the first token is answered as it should be."""
    frames = _frames(exchange, caller, asked)
    first = await anext(frames)
    return EventStream(_resumed(first, frames), on_error=lambda failure: _error(exchange, failure))


async def _resumed(first: bytes, frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for each in frames:
            yield each
    finally:
        await frames.aclose()


async def _frames(exchange: Exchange, caller: Principal, asked: Chat) -> AsyncGenerator[bytes, None]:
    """`event: decision`, then OpenAI's chunks, then `event: usage` and [DONE]."""
    journal = RequestJournal(exchange)
    async with gateway().stream(asked.ask, asked.terms, payer_of(exchange, caller), journal) as stream:
        yield _frame(_decided(exchange, stream), event="decision")
        first = True
        async for delta in stream:
            yield _frame(chunk_body(stream.call_id, stream.model, delta, exchange.at, first=first))
            first = False
        yield _frame(_account(exchange, stream.completion), event="usage")
    yield frame("[DONE]")


def _decided(exchange: Exchange, stream: Stream) -> dict[str, Any]:
    return {
        "negotiated_model": stream.model,
        "estimated_cost_usd": stream.estimated / NANO,
        "routing_reason": stream.reason,
        "request_id": exchange.request_id,
    }


def _account(exchange: Exchange, done: Completion) -> dict[str, Any]:
    return {
        "usage": usage_of(done.usage),
        "cost_usd": done.cost / NANO,
        "request_id": exchange.request_id,
        "decision": decision_of(exchange.facts["calls"]),
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "total_tokens": usage.total,
        "cached_tokens": usage.cached,
        "reasoning_tokens": usage.reasoning,
        "known": usage.known,
    }


def decision_of(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was decided, in short; GET /admin/v1/decisions/{request_id} tells all of it.

    An attempt that may have cost something has a record of its own, before that of the answer.
    """
    call, attempts = calls[-1], [attempt for each in calls for attempt in each["attempts"]]
    decided = call.get("decision") or {}
    return {
        "call_id": call["call_id"],
        "provider": call["provider"],
        "mode": call["mode"],
        "latency_ms": call["latency_ms"],
        "overhead_ms": call["overhead_ms"],
        "candidates": [each["model"] for each in decided.get("candidates", ())],
        "excluded": decided.get("excluded", {}),
        "attempts": [{name: each[name] for name in ("model", "failure")} for each in attempts],
    }


def _frame(data: Any, event: str | None = None) -> bytes:
    return frame(_encode(data), event=event)


def _error(exchange: Exchange, failure: Failure) -> bytes:
    return _frame(BROKER.body(failure, exchange.at, exchange.request_id), event="error")
