"""The request log: one record a request, the source of every later statistic."""

import json
import logging
import zlib
from datetime import datetime, timedelta
from typing import Any

from quintet.http.exchange import Exchange
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch, millis
from quintet.store.ids import made_at
from quintet.store.meter import metered_so_far
from quintet.telemetry import emf
from quintet.telemetry.platform import WRITE, nano_usd, used_by, written
from quintet.telemetry.shapes import RECORD

SHARDS = 16
_UNRECORDED = frozenset({"/health", "/healthz", "/metrics"})  # probes would be most of the log and tell nothing

_encode = json.JSONEncoder(default=str).encode

log = logging.getLogger("quintet.requests")


async def record(exchange: Exchange) -> None:
    """Writes the record once: a second write of the same id is an outcome, not an error."""
    fields = fields_of(exchange)
    _tell(exchange, fields)
    if settings().metrics:
        for line in emf.call_lines(exchange.at, fields):
            emf.say(line)
    if exchange.path in _UNRECORDED:
        return
    try:
        await wire.call(
            "PutItem",
            {
                "TableName": settings().table("requests"),
                "Item": RECORD.item(fields),
                "ConditionExpression": "attribute_not_exists(record_id)",
            },
        )
    except wire.WireError as error:
        if not error.unmet:
            raise
    else:
        _told(fields)


def _told(fields: dict[str, Any]) -> None:
    meter = metered_so_far()
    if meter is None or "platform_cost" not in fields:
        return
    if log.isEnabledFor(logging.DEBUG):
        log.debug("used", extra={"kind": "record", "route": fields.get("route"), "used": used_by(meter)})
    meter.told()


def fields_of(exchange: Exchange) -> dict[str, Any]:
    """The record as it is stored; nothing in it quotes the request's body, query or credentials."""
    failure = exchange.failure
    fields = {
        "bucket": bucket(exchange.at, shard_of(exchange.record_id)),
        "record_id": exchange.record_id,
        "request_id": exchange.request_id,
        "at": millis(exchange.at),
        "group": exchange.group,
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "latency_ms": round(exchange.elapsed_ms(), 3),
        "principal": exchange.caller.id if exchange.caller else None,
        "key_id": exchange.caller.key_id if exchange.caller else None,
        "failure": failure.kind.value if failure else None,
        "facts": exchange.facts or None,
        "expires_at": epoch(exchange.at + timedelta(days=settings().request_log_days)),
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    cost = _platform_cost(fields)
    return fields if cost is None else {**fields, "platform_cost": cost}


def _platform_cost(fields: dict[str, Any]) -> int | None:
    """In nano-USD, this record's own writing included; None off Lambda, where nobody charges for a request."""
    meter = metered_so_far()
    used = None if meter is None else used_by(meter)
    if used is None:
        return None
    return nano_usd({**used, WRITE: used.get(WRITE, 0) + written(_encode(fields))})


def bucket_of(record_id: str) -> str:
    """An hour and a shard, from the id alone: who knows the id finds the record, and no partition is everybody's."""
    return bucket(made_at(record_id), shard_of(record_id))


def shard_of(record_id: str) -> int:
    return zlib.crc32(record_id.encode()) % SHARDS


def bucket(hour: datetime, shard: int) -> str:
    return f"{hour.isoformat(timespec='hours')[:13]}#{shard:02d}"


def _tell(exchange: Exchange, fields: dict[str, Any]) -> None:
    log.info(
        "request",
        extra={
            "endpoint": exchange.route,
            "method": exchange.method,
            "status": "error" if exchange.status >= 400 else "success",
            "status_code": exchange.status,
            "latency_ms": fields["latency_ms"],
            "request_id": exchange.request_id,
            "principal": fields.get("principal"),
            "group": exchange.group,
            **({"failure": fields["failure"]} if "failure" in fields else {}),
            **({"agent_id": exchange.facts["agent_id"]} if "agent_id" in exchange.facts else {}),
        },
    )
