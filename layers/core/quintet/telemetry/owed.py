"""What work cost that no record has told of: steps, deliveries, schedules, streams, probes.

A record for each would cost more than most of them. So an instance adds up what it owes, and tells it in a record of
its own once it is worth one; what an instance still owes when it ends, less than `WORTH`, is told nowhere.
"""

import json
import logging
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from quintet.copies import forget_in_copies
from quintet.settings import platform, settings
from quintet.store import wire
from quintet.store.clock import SystemClock, epoch, millis
from quintet.store.ids import new_id
from quintet.store.meter import Meter
from quintet.telemetry.platform import nano_usd, used_by, written
from quintet.telemetry.requests import bucket_of
from quintet.telemetry.shapes import RECORD

WORTH = 100_000  # nano-USD: some hundred invocations, and several times what telling it costs
ROUTE = "unasked"

log = logging.getLogger("quintet.requests")
_owed: defaultdict[str, float] = defaultdict(float)
_works = 0
_due = WORTH  # what is owed when it is next told


def _nothing_owed() -> None:
    global _works, _due
    _owed.clear()
    _works = 0
    _due = WORTH


forget_in_copies(_nothing_owed)


async def settle(meter: Meter, kind: str) -> None:
    """At the end of an invocation. Never raises: the work is done, whatever it cost."""
    global _works, _due
    used = used_by(meter)
    if used is None:
        return
    log.debug("used", extra={"kind": kind, "used": used})
    for unit, number in used.items():
        _owed[unit] += number
    _works += 1
    if nano_usd(_owed) < _due:
        return
    fields = _record(dict(_owed), _works, SystemClock().now())
    try:
        await wire.call("PutItem", {"TableName": settings().table("requests"), "Item": RECORD.item(fields)})
    except Exception:
        log.exception("what work cost could not be told; it is told with what comes next")
        _due = 2 * nano_usd(_owed)  # the longer the table is out of reach, the more rarely
    else:
        _nothing_owed()


def _record(used: dict[str, float], works: int, now: datetime) -> dict[str, Any]:
    """As a request's, so that whatever reads the log reads it."""
    record_id = new_id("rec", now)
    fields: dict[str, Any] = {
        "bucket": bucket_of(record_id),
        "record_id": record_id,
        "request_id": new_id("req", now),
        "at": millis(now),
        "group": platform().function_name.removeprefix(settings().table_prefix),
        "method": "WORK",
        "route": ROUTE,
        "status": 200,
        "latency_ms": 0,
        "facts": {"invocations": works, "used": used},
        "expires_at": epoch(now + timedelta(days=settings().request_log_days)),
    }
    own = {"dynamodb_write_unit": written(json.dumps(fields))}
    return {**fields, "platform_cost": nano_usd(used) + nano_usd(own)}
