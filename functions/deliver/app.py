"""The delivery queue: each message is one attempt at one endpoint; an hourly tick looks for what got lost."""

from quintet.telemetry.lambdas import consume

import asyncio
import logging
from datetime import timedelta
from typing import Any

from quintet.store.clock import SystemClock
from quintet.webhooks.delivering import Delivering
from quintet.webhooks.endpoints import Endpoints
from quintet.webhooks.queue import DeliveryQueue, Errand
from quintet.webhooks.standing import OwnersStanding
from quintet.webhooks.store import deliveries, endpoints, gates

_LOST = timedelta(minutes=20)  # longer than the queue keeps a message back
log = logging.getLogger("quintet.webhooks")

_clock = SystemClock()
_queue = DeliveryQueue()
_may_read = OwnersStanding(_clock)


@consume
async def handler(event: dict[str, Any]) -> dict[str, Any]:
    """Answers the messages that failed, which come again; those that went well do not."""
    if "Records" not in event:
        return {"sent_again": await sweep()}
    delivering = Delivering(endpoints, deliveries, gates, _queue, Endpoints(endpoints), _may_read, _clock)
    records = event["Records"]
    outcomes = await asyncio.gather(*(_one(delivering, record) for record in records))
    failed = [record["messageId"] for record, went_well in zip(records, outcomes, strict=True) if not went_well]
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


async def _one(delivering: Delivering, record: dict[str, Any]) -> bool:
    try:
        await delivering.run(Errand.read(record["body"]))
    except Exception:
        log.exception("a delivery could not be attempted", extra={"message_id": record["messageId"]})
        return False
    return True


async def sweep() -> int:
    """What should have been tried long ago, and whose message is gone, is put into the queue again."""
    now = _clock.now()
    sent = 0
    for shard in range(deliveries.DUE_SHARDS):
        async for lost in deliveries.overdue(shard, now - _LOST):
            await _queue.send([Errand(*each) for each in lost], now)
            sent += len(lost)
    return sent
