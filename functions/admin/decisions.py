"""Why a model was chosen, and who would be chosen today: /admin/v1/decisions/{request_id}."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from admin.access import Admin
from quintet.errors import Failure, Kind
from quintet.gateway import live
from quintet.gateway.model import NANO
from quintet.gateway.records import wish_of_record
from quintet.gateway.routing import Candidate, decide
from quintet.gateway.view import View
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.store.clock import from_millis, iso
from quintet.telemetry.store.requests import by_request, whole

router = APIRouter(prefix="/admin/v1/decisions/{request_id}")


@router.get("")
async def read(request_id: str, _admin: Admin) -> Json:
    """Of every call that the request made, or would have made had there been a model for it."""
    return Json({"request_id": request_id, "decisions": [_shown(each) for each in await _calls(request_id)]})


@router.post("/replay")
async def replay(request_id: str, request: Request, _admin: Admin) -> Json:
    """Today's policy over the wish and the seed of then; nobody is called."""
    calls, view = await _calls(request_id), await live.views().current()
    return Json({"request_id": request_id, "replays": [_replayed(each, view, request) for each in calls]})


async def _calls(request_id: str) -> list[Mapping[str, Any]]:
    calls: list[Mapping[str, Any]] = []
    records = await asyncio.gather(*(whole(each) for each in await by_request(request_id)))
    for record in filter(None, records):
        at = iso(from_millis(record["at"]))
        facts = record.get("facts") or {}
        told = [*facts.get("calls", ()), *facts.get("undecided", ())]
        calls += [{**call, "at": at} for call in told if call.get("decision")]
    if not calls:
        raise Failure(Kind.NOT_FOUND, f"No model was chosen for a request '{request_id}'")
    return calls


def _shown(call: Mapping[str, Any]) -> dict[str, Any]:
    decided = call["decision"]
    return {
        "call_id": call["call_id"],
        "at": call["at"],
        "mode": decided["mode"],
        "chosen": decided.get("chosen"),
        "answered_by": call.get("model"),
        "routing_reason": call["reason"],
        "candidates": [_candidate(each) for each in decided["candidates"]],
        "excluded": decided["excluded"],
        "attempts": call.get("attempts", []),
        "seed": decided["seed"],
        "propensity": decided.get("propensity"),
        "price_version": decided.get("price_version"),
        "wish": decided.get("wish", {}),
        "estimated_cost_usd": _usd(call.get("estimated")),
        "cost_usd": call.get("cost", 0) / NANO,
    }


def _replayed(call: Mapping[str, Any], view: View, request: Request) -> dict[str, Any]:
    now = decide(view, wish_of_record(call), exchange_of(request).at, call["decision"]["seed"])
    first = now.candidate(now.ranking[0]) if now.ranking else None
    return {
        "call_id": call["call_id"],
        "then": {"chosen": call["decision"].get("chosen"), "estimated_cost_usd": _usd(call.get("estimated"))},
        "now": {
            "chosen": first.model if first else None,
            "estimated_cost_usd": first.cost / NANO if first else None,
            "routing_reason": now.reason,
            "candidates": [_candidate(each.told()) for each in now.candidates],
            "excluded": {**now.off, **now.excluded},
            "propensity": now.propensity,
        },
        "same": (first.model if first else None) == call["decision"].get("chosen"),
        "cost_difference_usd": _difference(first, call),
    }


def _difference(first: Candidate | None, call: Mapping[str, Any]) -> float | None:
    return None if first is None or "estimated" not in call else (first.cost - call["estimated"]) / NANO


def _usd(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO


def _candidate(told: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in told.items() if name != "cost"}
    return {**rest, "estimated_cost_usd": told["cost"] / NANO}
