"""What answers were worth: /admin/v1/rewards."""

from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from admin.access import Admin, Pages
from admin.reading import page_of
from quintet.errors import Failure, Kind
from quintet.events.audit import audited
from quintet.gateway.learning import learn
from quintet.gateway.model import NANO
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.store.clock import iso
from quintet.store.transactions import Unmet
from quintet.telemetry.rewards import Reward
from quintet.telemetry.store import rewards
from quintet.telemetry.store.requests import by_request

router = APIRouter(prefix="/admin/v1/rewards")


class Told(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reward: float = Field(ge=0, le=1, allow_inf_nan=False)


@router.get("")
async def listed(request: Request, paging: Pages, _admin: Admin) -> Json:
    """Newest first."""
    page = await page_of(rewards.LOG, paging, exchange_of(request).at)
    return Json({"rewards": [shown(rewards.reward_of(item)) for item in page.items], "next_cursor": page.after})


@router.post("/{request_id}")
async def hear(request_id: str, told: Told, request: Request, admin: Admin) -> Json:
    """How good an answer was, blended into the reward of each of the request's calls, once."""
    found: list[Reward] = []
    for record in await by_request(request_id):
        found = found or await rewards.of_record(record)
    if not found:
        mend = "it is there seconds after the answer, for requests that called a model"
        raise Failure(Kind.NOT_FOUND, f"There is no reward of a request '{request_id}': {mend}")
    heard = []
    for reward in found:
        event = audited("reward.told", request_id, {"call_id": reward.call_id, "reward": told.reward}, admin.id)
        with suppress(Unmet):
            mean = await offload(rewards.hear, reward, told.reward, event)
            heard.append({**shown(reward), "reward": mean, "feedback": told.reward})
    if not heard:
        raise Failure(Kind.CONFLICT, "This request's reward was told before: it counts once")
    await learn(exchange_of(request).at)
    return Json({"request_id": request_id, "rewards": heard})


def shown(reward: Reward) -> dict[str, Any]:
    decision = reward.decision or {}
    return {
        "id": reward.id,
        "call_id": reward.call_id,
        "request_id": reward.request_id,
        "timestamp": iso(reward.at),
        "model_id": reward.model,
        "provider_id": reward.provider,
        "mode": reward.mode,
        "reward": reward.reward,
        "feedback": reward.feedback,
        "success": reward.status != "error",
        "cost_usd": reward.cost / NANO,
        "latency_ms": reward.latency_ms,
        "latency_budget_ms": reward.latency_budget_ms,
        "estimated_tokens": reward.estimated_tokens,
        "token_bucket": reward.bucket,
        "propensity": decision.get("propensity"),
        "seed": decision.get("seed"),
        "candidates": decision.get("candidates") or [],
        "excluded": decision.get("excluded") or {},
    }
