"""The request log's stream: into the ledger, the series, the reward log, the live events and routing; each once."""

from quintet.telemetry.lambdas import consume

import logging
from typing import Any

from quintet.events import store as log
from quintet.gateway.learning import learn_of_late
from quintet.gateway.ledger import live as ledger
from quintet.http.work import offload
from quintet.store.clock import SystemClock, from_millis
from quintet.telemetry.rewards import rewards_of
from quintet.telemetry.rollup import REMEMBERED, portions_of, roll_up
from quintet.telemetry.rules import Record, calls_of, record_of_event
from quintet.telemetry.shapes import RECORD
from quintet.telemetry.store import rewards
from quintet.telemetry.store.books import TableBooks
from rollup import alerting
from rollup.live import events_of, health_event

journal = logging.getLogger("quintet.rollup")


@consume
async def handler(event: dict[str, Any]) -> dict[str, Any]:
    """Stream records of the request log, or of the table of who is ill; and a schedule's tick, to close what died.

    A batch that fails halfway is told again, in whatever pieces: what was done is found done.
    """
    now = SystemClock().now()
    if "Records" not in event:
        return {"closed": await ledger.sweep(), "alerts": await alerting.look(now)}
    if _of_the_log(event):
        happened = [log.entry_of_image(image).event for image in _inserted(event)]
        facts = [record_of_event(each.id, each.type, each.data) for each in happened]
        return {"counted": await roll_up(facts, TableBooks(), now)}
    changes = [each for each in event["Records"] if "record_id" not in each["dynamodb"]["Keys"]]
    live = [told for each in changes if (told := health_event(each, now))]
    images = [
        each["dynamodb"]["NewImage"]
        for each in event["Records"]
        if each["eventName"] == "INSERT" and "record_id" in each["dynamodb"]["Keys"]
    ]
    stored = [RECORD.row(image) for image in images]
    settled = await ledger.settle_records(stored)
    records = [record for record in stored if _readable(record)]
    counted = await roll_up(records, TableBooks(), now)
    await rewards.note([reward for each in records for reward in rewards_of(each, from_millis(each["at"]))])
    # What is older than a stream tells was put back, from a table as it was: it is counted no more, and was told.
    fresh = [each for each in records if from_millis(each["at"]) > now - REMEMBERED]
    live += [told for each in fresh for told in events_of(each)]
    if live:
        await offload(log.append, live)
    if any(calls_of(each) for each in records):
        await learn_of_late(now)
    return {"settled": settled, "counted": counted, "told": len(live)}


def _of_the_log(event: dict[str, Any]) -> bool:
    """What happened on the platform comes by a stream of its own, never mixed with the others."""
    keys = [record["dynamodb"]["Keys"] for record in event["Records"]]
    return all("pk" in each and each["pk"]["S"].startswith("log#") for each in keys)


def _inserted(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [each["dynamodb"]["NewImage"] for each in event["Records"] if each["eventName"] == "INSERT"]


def _readable(record: Record) -> bool:
    """A record that nobody understands would hold up its shard for a day: it is told of and left out."""
    try:
        portions_of(record)
        list(rewards_of(record, from_millis(record["at"])))
        list(events_of(record))
    except (KeyError, TypeError, ValueError, AttributeError):
        journal.exception("a record that cannot be counted", extra={"record": str(record.get("record_id"))})
        return False
    return True
