"""How much waits in the queues, and for how long."""

import asyncio
from datetime import timedelta
from typing import Any

from quintet.copies import own
from quintet.events import store as log
from quintet.http.work import offload
from quintet.settings import settings
from quintet.store.clock import SystemClock
from quintet.telemetry.exposition import Metric, gauge

QUEUES = (
    "inbox",
    "inbox-failures",
    "deliveries",
    "deliveries-failures",
    "curfews",
    "curfews-failures",
    "fanout-failures",
    "rollup-failures",
    "sweeps-failures",
)
_AGE = "ApproximateAgeOfOldestMessage"


async def queues() -> list[Metric]:
    depths, ages, outbox = await asyncio.gather(offload(_depths), offload(_ages), offload(_outbox))
    messages = gauge("quintet_queue_messages", "Messages in a queue, waiting or in work")
    age = gauge("quintet_queue_age_seconds", "How long the oldest message of a queue has waited")
    for name, depth in depths.items():
        messages.add(depth, queue=name)
        if not depth or name in ages:
            age.add(ages[name] if depth else 0, queue=name)
    messages.add(outbox[0], queue="outbox")
    age.add(outbox[1], queue="outbox")
    return [messages, age]


def _depths() -> dict[str, int]:
    found = {}
    for name in QUEUES:
        attributes = _sqs().get_queue_attributes(
            QueueUrl=_url(name), AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )["Attributes"]
        found[name] = sum(int(value) for value in attributes.values())
    return found


def _ages() -> dict[str, float]:
    """Only CloudWatch knows them: the newest figure of each queue, at most five minutes old."""
    now = SystemClock().now()
    queries = [
        {
            "Id": f"q{place}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": _AGE,
                    "Dimensions": [{"Name": "QueueName", "Value": settings().table_prefix + name}],
                },
                "Period": 60,
                "Stat": "Maximum",
            },
        }
        for place, name in enumerate(QUEUES)
    ]
    answer = _cloudwatch().get_metric_data(
        MetricDataQueries=queries, StartTime=now - timedelta(minutes=5), EndTime=now, ScanBy="TimestampDescending"
    )
    return {
        QUEUES[int(result["Id"][1:])]: float(result["Values"][0])
        for result in answer["MetricDataResults"]
        if result["Values"]
    }


def _outbox() -> tuple[int, float]:
    """Events that have no number yet, and the age of the oldest: what the fanout function is behind by."""
    now = SystemClock().now()
    waiting = [event.at for shard in range(log.OUTBOX_SHARDS) for event in log.waiting(shard, now)]
    return len(waiting), max(((now - at).total_seconds() for at in waiting), default=0.0)


@own
def _url(name: str) -> str:
    found: str = _sqs().get_queue_url(QueueName=settings().table_prefix + name)["QueueUrl"]
    return found


@own
def _sqs() -> Any:
    return _client("sqs")


@own
def _cloudwatch() -> Any:
    return _client("cloudwatch")


def _client(service: str) -> Any:
    import botocore.session

    return botocore.session.get_session().create_client(service, region_name=settings().aws_region)
