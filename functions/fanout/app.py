"""The event log's stream: gives every event its number, then passes it on to those who wait for it."""

from quintet.telemetry.lambdas import consume

from datetime import timedelta
from typing import Any

from quintet.events import store as log
from quintet.store.clock import SystemClock

_STALE = timedelta(minutes=1)


@consume
def handler(event: dict[str, Any]) -> dict[str, Any]:
    """Takes the outbox's stream records, and a schedule's tick to look for events whose stream record was lost.

    A batch that fails halfway is told again as a whole: numbering twice changes nothing.
    """
    if "Records" not in event:
        return {"numbered": sweep()}
    records = [record for record in event["Records"] if record["eventName"] == "INSERT"]
    return {"numbered": len(log.number([log.event_of_image(record["dynamodb"]["NewImage"]) for record in records]))}


def sweep() -> int:
    before = SystemClock().now() - _STALE
    return sum(len(log.number(log.waiting(shard, before))) for shard in range(log.OUTBOX_SHARDS))
