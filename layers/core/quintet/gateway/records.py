"""The record of a call: what the request log keeps of it, and all statistics are made from."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from quintet.gateway.catalogue.model import Model
from quintet.gateway.model import Payer, Usage
from quintet.gateway.rewards import reward_of
from quintet.gateway.routing import Decision, Wish

_CANDIDATES = 24  # the best of them: a record is paid for by the kilobyte
_OFF = 48  # of the models that nobody could have chosen: told only where nobody was


def decision_record(decision: Decision, model: Model) -> dict[str, Any]:
    wish = decision.wish
    return {
        "seed": decision.seed,
        "propensity": decision.propensity,
        "price_version": model.price.version,
        "mode": wish.mode,
        "chosen": model.id,
        "candidates": [each.told() for each in decision.candidates[:_CANDIDATES]],
        "excluded": dict(decision.excluded),
        "wish": wish_record(wish),
    }


def undecided_record(call_id: str, decision: Decision, reason: str) -> dict[str, Any]:
    """Of a call that no model was asked for."""
    wish = decision.wish
    return {
        "call_id": call_id,
        "reason": reason,
        "latency_budget_ms": wish.max_latency_ms,
        "decision": {
            "seed": decision.seed,
            "mode": wish.mode,
            "candidates": [each.told() for each in decision.candidates[:_CANDIDATES]],
            "excluded": {**dict(islice(decision.off.items(), _OFF)), **decision.excluded},
            "wish": wish_record(wish),
        },
    }


def wish_record(wish: Wish) -> dict[str, Any]:
    """As much of it as is needed to decide again."""
    told = {
        "tokens": wish.tokens,
        "output": wish.output,
        "max_budget": wish.max_budget,
        "min_weight": wish.min_weight,
        "capabilities": sorted(wish.capabilities),
        "needs": sorted(wish.needs),
        "hint": wish.hint,
        "avoid": sorted(wish.avoid),
    }
    return {name: value for name, value in told.items() if value}


def wish_of_record(call: Mapping[str, Any]) -> Wish:
    told = call["decision"].get("wish", {})
    return Wish(
        mode=call["decision"]["mode"],
        max_budget=told.get("max_budget", 0),
        max_latency_ms=call.get("latency_budget_ms", 0),
        min_weight=told.get("min_weight", 0),
        tokens=told.get("tokens", 0),
        output=told.get("output", 0),
        capabilities=frozenset(told.get("capabilities", ())),
        needs=frozenset(told.get("needs", ())),
        hint=told.get("hint"),
        avoid=frozenset(told.get("avoid", ())),
    )


def call_record(
    *,
    call_id: str,
    model: str,
    provider: str,
    status: str,
    failure: str | None,
    usage: Usage,
    estimated: int,
    bound: int,
    cost: int,
    latency_ms: float,
    overhead_ms: float,
    first_token_ms: float | None,
    wish: Wish,
    reason: str,
    weight: float,
    attempts: list[dict[str, Any]],
    decision: Mapping[str, Any] | None,
    stream: bool,
    payer: Payer,
    settle: Mapping[str, Any],
) -> dict[str, Any]:
    """`overhead_ms` is our own time until the first token, without that spent waiting for vendors. None is left out."""
    told = {
        "call_id": call_id,
        "model": model,
        "provider": provider,
        "status": status,
        "failure": failure,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cached_tokens": usage.cached,
        "reasoning_tokens": usage.reasoning,
        "usage_known": usage.known,
        "estimated": estimated,
        "bound": bound,
        "cost": cost,
        "latency_ms": round(latency_ms, 3),
        "first_token_ms": None if first_token_ms is None else round(first_token_ms, 3),
        "overhead_ms": round(max(0.0, overhead_ms), 3),
        "mode": wish.mode,
        "reason": reason,
        "bucket": wish.bucket,
        "latency_budget_ms": wish.max_latency_ms,
        "estimated_tokens": wish.tokens,
        "weight": weight,
        "reward": reward_of(
            ok=status != "error", cost=cost, latency_ms=latency_ms, budget_ms=float(wish.max_latency_ms)
        ),
        "attempts": attempts,
        "decision": decision,
        "stream": stream,
        "task": payer.task,
        "session": payer.session,
        "settle": dict(settle) or None,
    }
    return {name: value for name, value in told.items() if value is not None}
