"""The inbox queue: mentions on Slack, phone calls that are over, conversations that have grown long."""

from quintet.telemetry.lambdas import consume

import json
import logging
from typing import Any

from inbox.services import WORK

log = logging.getLogger("quintet.personas")


@consume
async def handler(event: dict[str, Any]) -> dict[str, Any]:
    """What fails is told again, and lies in the queue of failures at last."""
    failed = []
    for message in event["Records"]:
        try:
            job = json.loads(message["body"])
            await WORK[job["kind"]](job)
        except Exception:
            log.exception("a job of the inbox failed", extra={"message_id": message["messageId"]})
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}
