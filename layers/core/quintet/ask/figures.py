"""The telemetry snapshot: the last minute of the request log, and how well the engine is. Pure.

`engine_health_score` is, from 0 to 1,

    0.5 x (1 - error_rate) + 0.3 x (vendors that are healthy, of those that routing may choose from)
    + 0.2 x min(1, 2000 / avg_latency_ms)

rounded to three digits. Where nothing was asked within the minute, nothing failed and nothing was slow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

MINUTE = timedelta(minutes=1)
GROUP = "ask"
_QUICK_MS = 2000
_ERROR, _AUTH = 400, frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Minute:
    """`seconds` is how much of the minute was looked at: less than 60 only where there was too much to read."""

    requests: int = 0
    errors: int = 0
    latency_ms: float = 0.0  # of all together
    events: int = 0  # server-sent
    seconds: float = 60.0

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def mean_latency_ms(self) -> float:
        return self.latency_ms / self.requests if self.requests else 0.0


def minute_of(records: Iterable[Mapping[str, Any]], seconds: float = 60.0) -> Minute:
    """Of the prompts' own requests. A caller who was turned away for who they are is no error of the engine."""
    requests = errors = events = 0
    latency = 0.0
    for record in records:
        if record.get("group") != GROUP or not record.get("status"):
            continue
        requests += 1
        errors += record["status"] >= _ERROR and record["status"] not in _AUTH
        latency += float(record.get("latency_ms") or 0)
        events += int((record.get("facts") or {}).get("sse_events") or 0)
    return Minute(requests, errors, latency, events, seconds)


def snapshot(minute: Minute, sessions: int, healthy: float) -> dict[str, Any]:
    scale = 60.0 / minute.seconds if minute.seconds else 1.0
    return {
        "requests_last_minute": round(minute.requests * scale),
        "error_rate": round(minute.error_rate, 4),
        "avg_latency_ms": round(minute.mean_latency_ms),
        "sse_throughput_eps": round(minute.events * scale / 60.0, 2),
        "websocket_sessions": sessions,
        "engine_health_score": score(minute, healthy),
    }


def score(minute: Minute, healthy: float) -> float:
    quick = min(1.0, _QUICK_MS / minute.mean_latency_ms) if minute.mean_latency_ms else 1.0
    return round(0.5 * (1 - minute.error_rate) + 0.3 * healthy + 0.2 * quick, 3)
