"""What the admin API's live events say of a request's model calls."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from quintet.events.model import GATEWAY, Event
from quintet.gateway.model import NANO
from quintet.gateway.present import PROVIDER, health_of
from quintet.store.clock import from_millis, iso
from quintet.store.items import from_item
from quintet.telemetry.rules import Record, calls_of


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
        if call.get("status", "ok") == "error":
            yield _event(f"{name}.error", "route_error", provider, at, {**told, "error_class": call.get("failure")})
        else:
            yield _event(f"{name}.success", "route_success", provider, at, told)


def health_event(change: Mapping[str, Any], now: datetime) -> Event | None:
    """Of a stream record of the table of who is ill; None where only the details changed."""
    row = change["dynamodb"]
    place = row["Keys"]["sk"]["S"]
    if not place.startswith(PROVIDER):
        return None
    before, after = (health_of(from_item(row.get(image) or {})) for image in ("OldImage", "NewImage"))
    if (before.state, before.limited) == (after.state, after.limited):
        return None
    provider = place.removeprefix(PROVIDER)
    told = {
        "provider_id": provider,
        "from": before.state.value,
        "to": after.state.value,
        "limited": after.limited,
        "consec_errors": after.errors,
        "last_error": after.last_error,
        "cooldown_until": iso(after.cooldown_until) if after.cooldown_until else None,
    }
    return _event(f"{change['eventID']}.health", "health_change", provider, now, told)


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


def _event(name: str, kind: str, subject: str, at: datetime, data: Mapping[str, Any]) -> Event:
    return Event(name, GATEWAY, kind, subject, at, data, needs="admin")
