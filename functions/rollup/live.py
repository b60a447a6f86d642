"""What the admin API's live events say of a request's model calls."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from quintet.events.model import Event
from quintet.gateway.model import NANO
from quintet.store.clock import from_millis
from quintet.telemetry.rules import Record, calls_of

GATEWAY = "gateway"


def events_of(record: Record) -> Iterator[Event]:
    """Their ids follow from the record's, so that one which is told again is the same."""
    at = from_millis(int(record["at"]))
    for place, call in enumerate(calls_of(record)):
        name = f"{record['record_id']}#{place:03d}"
        told = _told(record, call)
        provider = str(call["provider"])
        for failed, attempt in enumerate(_left(call)):
            moved = {
                "request_id": told["request_id"],
                "from_model_id": attempt.get("model"),
                "from_provider_id": attempt.get("provider"),
                "to_model_id": call["model"],
                "to_provider_id": provider,
                "error_class": attempt.get("failure"),
            }
            yield _event(f"{name}.escalation.{failed}", "escalation", provider, at, moved)
        for changed, change in enumerate(call.get("health") or ()):
            subject = str(change.get("provider") or provider)
            yield _event(f"{name}.health.{changed}", "health_change", subject, at, _plain(change))
        if call.get("status", "ok") == "error":
            yield _event(f"{name}.error", "route_error", provider, at, {**told, "error_class": call.get("failure")})
        else:
            yield _event(f"{name}.success", "route_success", provider, at, told)


def _left(call: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Attempts at other models than the one that the call ended with: each model once."""
    attempts = {each.get("model"): each for each in call.get("attempts") or () if each.get("failure")}
    return [attempt for model, attempt in attempts.items() if model != call["model"]]


def _told(record: Record, call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "request_id": record.get("request_id") or record["record_id"],
        "call_id": call.get("call_id"),
        "model_id": call["model"],
        "provider_id": call["provider"],
        "mode": call.get("mode"),
        "routing_reason": call.get("reason"),
        "latency_ms": call.get("latency_ms"),
        "input_tokens": call.get("input_tokens"),
        "output_tokens": call.get("output_tokens"),
        "cost_usd": int(call.get("cost") or 0) / NANO,
    }


def _plain(change: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}_id" if name == "provider" else name: value for name, value in change.items()}


def _event(name: str, kind: str, subject: str, at: datetime, data: Mapping[str, Any]) -> Event:
    return Event(name, GATEWAY, kind, subject, at, data, needs="admin")
