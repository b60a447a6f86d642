"""POST /v1/plan: a plan that several models have worked on."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from broker.chat import Caller
from broker.requests import ask_of, body_of, messages_of, number_of, terms_of
from quintet.errors import Failure, Kind
from quintet.gateway.directives import MOST_WEIGHT, directed
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.gateway.live import gateway
from quintet.gateway.model import NANO, Terms
from quintet.gateway.plan import MODES, Orchestration, make_plan
from quintet.http.answers import Json
from quintet.http.exchange import Exchange, exchange_of
from quintet.http.leaving import while_connected

_MOST_ITERATIONS = 10
_MOST_VOTES = 5
_PHASE_SECONDS = 20.0  # for each phase in a row, where the caller sets no deadline
_LAST_WORDS = 3.0  # seconds of the function's time in which it still tells what was made

router = APIRouter()


@router.post("/v1/plan")
async def plan(request: Request, caller: Caller) -> Json:
    exchange, body = exchange_of(request), await body_of(request)
    asked = _object(body, "request")
    messages, terms = directed(messages_of(asked), terms_of(body, asked))
    how = orchestration_of(body)
    exchange.named(asked.get("id"))
    making = make_plan(
        gateway(),
        ask_of(asked, messages),
        terms,
        how,
        payer_of(exchange, caller),
        RequestJournal(exchange),
        _seconds(exchange, terms, how),
    )
    made = await while_connected(request, making)
    return Json(
        {
            "negotiated_model": made.primary.model,
            "estimated_cost_usd": made.estimated / NANO,
            "routing_reason": made.primary.reason,
            "response": made.response(),
            "decision": made.decision(),
            "cost_usd": sum(each.cost for each in made.done) / NANO,
            "request_id": exchange.request_id,
        }
    )


def orchestration_of(body: Mapping[str, Any]) -> Orchestration:
    given, usual = _object(body, "orchestration"), Orchestration()
    mode = given.get("mode") or usual.mode
    if mode not in MODES:
        raise _refused("mode", f"unknown orchestration mode: use one of {', '.join(MODES)}")
    return Orchestration(
        mode=mode,
        primary_min_weight=number_of(given, "primary_min_weight", MOST_WEIGHT),
        review_min_weight=number_of(given, "review_min_weight", MOST_WEIGHT),
        iterations=_count(given, "iterations", 0, _MOST_ITERATIONS, usual.iterations),
        votes=_count(given, "votes", 2, _MOST_VOTES, usual.votes),
    )


def _seconds(exchange: Exchange, terms: Terms, how: Orchestration) -> float:
    """One deadline for all phases; never beyond the function's own time."""
    rounds = max(1, how.iterations)
    in_a_row = {"planning": 1, "refine": 1 + rounds, "adversarial": 1 + 2 * rounds, "vote": 2}[how.mode]
    seconds = terms.max_latency_ms / 1000 if terms.max_latency_ms else in_a_row * _PHASE_SECONDS
    patience = exchange.patience(_LAST_WORDS)
    return seconds if patience is None else min(seconds, patience)


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise Failure(Kind.INVALID, f"{name} must be an object", details={"field": name})
    return value or {}


def _count(given: Mapping[str, Any], name: str, least: int, most: int, usual: int) -> int:
    value = given.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _refused(name, f"{name} must be a whole number between {least} and {most}")
    return value


def _refused(name: str, message: str) -> Failure:
    return Failure(Kind.REJECTED, message, details={"field": f"orchestration.{name}"})
