"""The way from an event to its delivery, and from one attempt to the next: a queue, and one-time schedules into it."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from quintet.copies import own
from quintet.http.work import offload
from quintet.settings import settings
from quintet.store.clock import from_millis, millis
from quintet.store.meter import charged

_BATCH = 10
_CHARGED = {"sqs": "sqs_request", "scheduler": "schedule"}  # a schedule is charged for when it is due
_LONGEST_DELAY = timedelta(minutes=15)  # SQS keeps a message back for no longer


@dataclass(frozen=True, slots=True)
class Errand:
    """`not_before` counts where the queue could not keep it back for long enough."""

    endpoint_id: str
    delivery_id: str
    not_before: datetime | None = None

    def text(self) -> str:
        told: dict[str, Any] = {"endpoint_id": self.endpoint_id, "delivery_id": self.delivery_id}
        if self.not_before is not None:
            told["not_before"] = millis(self.not_before)
        return json.dumps(told)

    @classmethod
    def read(cls, text: str) -> "Errand":
        told = json.loads(text)
        moment = told.get("not_before")
        return cls(told["endpoint_id"], told["delivery_id"], None if moment is None else from_millis(moment))


class DeliveryQueue:
    """SQS; for what lies further ahead than it keeps a message back, a schedule that puts it there once."""

    async def send(self, errands: Sequence[Errand], now: datetime) -> None:
        near = [each for each in errands if each.not_before is None or each.not_before - now <= _LONGEST_DELAY]
        for start in range(0, len(near), _BATCH):
            await offload(self._send, near[start : start + _BATCH], now)
        for errand in errands:
            if errand not in near:
                await offload(self._schedule, errand)

    def _send(self, errands: Sequence[Errand], now: datetime) -> None:
        entries = [
            {"Id": str(index), "MessageBody": errand.text(), "DelaySeconds": _delay(errand, now)}
            for index, errand in enumerate(errands)
        ]
        answer = _client("sqs").send_message_batch(QueueUrl=settings().deliveries_queue_url, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(f"the delivery queue refused {len(answer['Failed'])} messages")

    def _schedule(self, errand: Errand) -> None:
        """Made twice it is one schedule: its name follows from what it is for."""
        assert errand.not_before is not None
        scheduler = _client("scheduler")
        with suppress(scheduler.exceptions.ConflictException):
            scheduler.create_schedule(
                Name=_name(errand),
                GroupName=settings().deliveries_schedule_group,
                ScheduleExpression=f"at({errand.not_before.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": settings().deliveries_queue_arn,
                    "RoleArn": settings().deliveries_schedule_role,
                    "Input": errand.text(),
                },
            )


def _delay(errand: Errand, now: datetime) -> int:
    if errand.not_before is None:
        return 0
    ahead = min(max(errand.not_before - now, timedelta()), _LONGEST_DELAY)
    return -int(-ahead.total_seconds() // 1)


def _name(errand: Errand) -> str:
    return f"dlv-{sha256(errand.text().encode()).hexdigest()[:40]}"


@own
def _client(service: str) -> Any:
    import botocore.session

    client = botocore.session.get_session().create_client(service, region_name=settings().aws_region)
    return charged(client, _CHARGED[service])
