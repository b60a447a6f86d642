"""What a call was worth: the reward log, what callers say of an answer, and what Thompson sampling believes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quintet.telemetry.rules import BANDIT, REWARD_UNIT, Record, calls_of, is_rewarded
from quintet.telemetry.series import Point, Series


@dataclass(frozen=True, slots=True)
class Reward:
    """One call's. `reward` is ours until a caller has said `feedback`: then it is the mean of both."""

    id: str  # the record's, and which of its calls
    call_id: str
    request_id: str
    at: datetime
    model: str
    provider: str
    bucket: str
    mode: str
    reward: float
    status: str
    cost: int
    latency_ms: float
    estimated_tokens: int
    latency_budget_ms: int
    decision: Mapping[str, Any] | None = None
    feedback: float | None = None


@dataclass(frozen=True, slots=True)
class Belief:
    """A Beta distribution."""

    alpha: float
    beta: float


def rewards_of(record: Record, at: datetime) -> Iterator[Reward]:
    for place, call in enumerate(calls_of(record)):
        if is_rewarded(call):
            yield Reward(
                id=f"{record['record_id']}#{place:03d}",
                call_id=str(call["call_id"]),
                request_id=str(record.get("request_id") or record["record_id"]),
                at=at,
                model=str(call["model"]),
                provider=str(call["provider"]),
                bucket=str(call["bucket"]),
                mode=str(call.get("mode") or "normal"),
                reward=float(call["reward"]),
                status=str(call.get("status") or "ok"),
                cost=int(call.get("cost") or 0),
                latency_ms=float(call.get("latency_ms") or 0.0),
                estimated_tokens=int(call.get("estimated_tokens") or 0),
                latency_budget_ms=int(call.get("latency_budget_ms") or 0),
                decision=call.get("decision"),
            )


def blended(reward: float, feedback: float) -> float:
    return round((reward + feedback) / 2, 6)


def beliefs(totals: Mapping[Series, Point]) -> dict[tuple[str, str], Belief]:
    """By model and bucket, from all rewards so far and one success and one failure assumed."""
    found = {}
    for series, point in totals.items():
        if series.family == BANDIT:
            won = point["reward"] / REWARD_UNIT
            found[series["model"], series["bucket"]] = Belief(1.0 + won, 1.0 + max(0.0, point["n"] - won))
    return found
