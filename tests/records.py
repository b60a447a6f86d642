"""Request records as the log keeps them, for tests of what is counted from it."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from quintet.store.clock import millis
from quintet.store.ids import new_id
from quintet.telemetry.requests import bucket_of

AT = datetime(2026, 11, 20, 10, 30, 0, 123000, tzinfo=UTC)
MODELS = [("gpt-4o", "openai"), ("claude-opus", "anthropic"), ("glm-4.5", "openai")]


def call(model: str = "gpt-4o", provider: str = "openai", *, at: datetime = AT, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "call_id": new_id("call", at),
        "model": model,
        "provider": provider,
        "status": "ok",
        "failure": None,
        "input_tokens": 100,
        "output_tokens": 20,
        "estimated": 1_000_000,
        "bound": 2_000_000,
        "cost": 900_000,
        "latency_ms": 250.0,
        "overhead_ms": 1.5,
        "mode": "normal",
        "reason": "mode=normal",
        "bucket": "small",
        "latency_budget_ms": 20000,
        "estimated_tokens": 100,
        "reward": 0.9,
        "attempts": [],
        "stream": False,
    }
    return {**told, **more}


def record(*calls: dict[str, Any], at: datetime = AT, **more: Any) -> dict[str, Any]:
    name = more.pop("record_id", None) or new_id("rec", at)
    told: dict[str, Any] = {
        "bucket": bucket_of(name),
        "record_id": name,
        "request_id": new_id("req", at),
        "at": millis(at),
        "group": "broker",
        "method": "POST",
        "route": "/v1/chat",
        "status": 200,
        "latency_ms": 251.5,
        "principal": "user_1",
    }
    return {**told, **({"facts": {"calls": list(calls)}} if calls else {}), **more}


def many(number: int, *, seed: int = 1, since: datetime = AT, minutes: int = 90) -> list[dict[str, Any]]:
    """A mixed lot, the same for the same seed apart from its ids."""
    dice = random.Random(seed)
    records = []
    for _ in range(number):
        at = since + timedelta(milliseconds=dice.randrange(minutes * 60_000))
        failed = dice.random() < 0.1
        model, provider = dice.choice(MODELS)
        one = call(
            model,
            provider,
            at=at,
            status="error" if failed else "ok",
            failure="timeout" if failed else None,
            cost=dice.randrange(10**8),
            input_tokens=dice.randrange(10_000),
            output_tokens=dice.randrange(1000),
            latency_ms=round(dice.lognormvariate(5.5, 1.2), 3),
            overhead_ms=round(dice.random() * 4, 3),
            bucket=dice.choice(["small", "medium", "large"]),
            reward=0.0 if failed else round(dice.random(), 4),
        )
        group = dice.choice([("broker", "/v1/chat"), ("policy", "/step"), ("ask", "/api/v1/ask")])
        calls = [] if group[0] == "policy" else [one]
        status = 502 if failed and calls else dice.choice([200, 200, 200, 403, 500])
        latency = round(one["latency_ms"] + dice.random(), 3)
        records.append(record(*calls, at=at, group=group[0], route=group[1], status=status, latency_ms=latency))
    return records
