"""Who may look, who may change, and the room's verbs over the real tables."""

from typing import Annotated, Any

from fastapi import Depends

from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.store.clock import SystemClock, from_millis, iso
from quintet.webhooks.delivering import Delivering
from quintet.webhooks.endpoints import Endpoints
from quintet.webhooks.gate import Gate
from quintet.webhooks.model import Attempt, Delivery, Endpoint
from quintet.webhooks.queue import DeliveryQueue
from quintet.webhooks.standing import OwnersStanding
from quintet.webhooks.store import deliveries as delivery_table
from quintet.webhooks.store import endpoints as endpoint_table
from quintet.webhooks.store import gates as gate_table

Reader = Annotated[Principal, Depends(permitted("read_webhooks"))]
Manager = Annotated[Principal, Depends(permitted("manage_webhooks"))]

endpoints = Endpoints(endpoint_table)
queue = DeliveryQueue()
may_read = OwnersStanding(SystemClock())


def delivering() -> Delivering:
    return Delivering(endpoint_table, delivery_table, gate_table, queue, endpoints, may_read, SystemClock())


def shown(endpoint: Endpoint, gate: Gate) -> dict[str, Any]:
    """Never a secret."""
    told = {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "status": endpoint.status.value,
        "description": endpoint.description,
        "created_at": iso(endpoint.created_at),
        "updated_at": iso(endpoint.updated_at),
        "last_triggered": iso(from_millis(gate.last_triggered)) if gate.last_triggered else None,
        "failing_since": iso(from_millis(gate.failing_since)) if gate.failing_since else None,
    }
    return {**told, "status_reason": endpoint.reason} if endpoint.reason else told


def shown_delivery(delivery: Delivery) -> dict[str, Any]:
    pending = delivery.standing.value == "pending"
    return {
        "id": delivery.id,
        "webhook_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "event_type": delivery.type,
        "seq": delivery.seq,
        "status": delivery.standing.value,
        "created_at": iso(delivery.created_at),
        "next_attempt_at": iso(delivery.next_at) if pending else None,
        "attempts": [shown_attempt(each) for each in delivery.attempts],
    }


def shown_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": iso(attempt.at),
        "status_code": attempt.status,
        "latency_ms": attempt.latency_ms,
        "error": attempt.error or None,
    }
