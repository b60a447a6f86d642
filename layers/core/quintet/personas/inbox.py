"""The inbox queue: work that must not keep a caller waiting."""

import json
from collections.abc import Mapping
from typing import Any

from quintet.copies import own
from quintet.http.work import offload
from quintet.settings import settings
from quintet.store.meter import charged


class Queue:
    async def put(self, job: Mapping[str, Any]) -> None:
        body = json.dumps(job, separators=(",", ":"))  # in ASCII: some characters of Unicode SQS does not take
        await offload(_send, body)


def _send(body: str) -> None:
    _client().send_message(QueueUrl=settings().inbox_queue_url, MessageBody=body)


@own
def _client() -> Any:
    import botocore.session

    client = botocore.session.get_session().create_client("sqs", region_name=settings().aws_region)
    return charged(client, "sqs_request")
