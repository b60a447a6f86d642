"""The fast path to DynamoDB: signed JSON over our own client, a fifth of boto3's CPU per call. For hot calls only."""

import asyncio
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from quintet.net import client
from quintet.net.client import NetError
from quintet.net.sigv4 import sign
from quintet.settings import settings
from quintet.store.credentials import credentials
from quintet.store.items import from_item, to_item
from quintet.store.meter import asking, consumed

__all__ = [
    "Call",
    "NetError",
    "Reason",
    "WireError",
    "call",
    "from_item",
    "to_item",
    "watched",
]

_ATTEMPTS = 8
_ATTEMPT_SECONDS = 2.0
_FIRST_PAUSE = 0.025
_LONGEST_PAUSE = 0.5

_READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"})
# Refused before anything was written: asking again is always safe.
_UNTOUCHED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_CONTENTION = frozenset({"None", "ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"})


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Reason(NamedTuple):
    """Why one part of a transaction stopped it: `None` where it did not, `ConditionalCheckFailed`, ..."""

    code: str
    item: Mapping[str, Any] | None


class WireError(Exception):
    """DynamoDB's own refusal. `item` is the plain old item when a condition failed and the call asked for it.

    A cancelled transaction has one reason for each of its parts, in their order.
    """

    def __init__(
        self,
        code: str,
        message: str,
        item: Mapping[str, Any] | None = None,
        reasons: tuple[Reason, ...] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.item = item
        self.reasons = reasons

    @property
    def unmet(self) -> bool:
        return self.code == "ConditionalCheckFailedException" or any(
            reason.code == "ConditionalCheckFailed" for reason in self.reasons
        )


async def call(
    operation: str, request: Mapping[str, Any], *, idempotent: bool = False, timeout: float = 8.0
) -> dict[str, Any]:
    """`operation` is `UpdateItem`, `request` DynamoDB's own JSON. All attempts together take at most `timeout` seconds.

    What DynamoDB refused untouched is tried again. What may have happened is tried again only if once more does no
    harm: a read, a transaction with a ClientRequestToken, or what the caller calls idempotent (a repeated conditional
    write may meet its own first try).
    Raises WireError, or NetError when no answer came.
    """
    repeatable = idempotent or operation in _READS or "ClientRequestToken" in request
    watch = _watching.get()
    request = asking(request)
    if watch is not None and watch.capacity:
        request = {**request, "ReturnConsumedCapacity": "TOTAL"}
    body = _encode(request).encode(errors="replace")  # half a surrogate pair is no text: DynamoDB refuses it
    now = asyncio.get_running_loop().time
    deadline = now() + timeout
    pause = _FIRST_PAUSE
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = await _ask(operation, body, repeatable, min(_ATTEMPT_SECONDS, deadline - now()))
        except (WireError, NetError) as error:
            if watch is not None:
                watch.calls.append(Call(operation, 0.0))
            waiting = random.uniform(0, pause)  # noqa: S311 - jitter, not a secret
            if attempt == _ATTEMPTS or now() + waiting >= deadline or not _again(error, repeatable):
                raise
            await asyncio.sleep(waiting)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            units = consumed(operation, answer)
            if watch is not None:
                watch.calls.append(Call(operation, units))
            return answer
    raise AssertionError("the last attempt returns or raises")


class Call(NamedTuple):
    """One request to DynamoDB, a repeated one counts again. `units` is what it consumed, if that was asked for."""

    operation: str
    units: float


@dataclass(frozen=True, slots=True)
class _Watch:
    calls: list[Call]
    capacity: bool


_watching: ContextVar[_Watch | None] = ContextVar("watching", default=None)


@contextmanager
def watched(*, capacity: bool = False) -> Iterator[list[Call]]:
    """Lists the calls made in this block, and in tasks that it starts."""
    watch = _Watch([], capacity)
    token = _watching.set(watch)
    try:
        yield watch.calls
    finally:
        _watching.reset(token)


async def _ask(operation: str, body: bytes, repeatable: bool, timeout: float) -> dict[str, Any]:
    region = settings().aws_region
    partition = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = settings().aws_endpoint_url or f"https://dynamodb.{region}.{partition}/"
    headers = sign(
        await credentials(),
        "dynamodb",
        region,
        host=client.host_of(url),
        body=body,
        headers={"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"},
        now=datetime.now(UTC),
    )
    response = await client.send("POST", url, headers=headers, body=body, timeout=timeout, idempotent=repeatable)
    if response.status == 200:
        answer: dict[str, Any] = json.loads(response.body)
        return answer
    raise _refusal(response)


def _refusal(response: client.Response) -> WireError:
    try:
        refusal = json.loads(response.body)
        code = str(refusal["__type"]).rpartition("#")[2]
    except (ValueError, LookupError, TypeError):
        return WireError(
            "ServiceUnavailable" if response.status == 503 else "InternalServerError", f"HTTP {response.status}"
        )
    reasons = tuple(
        Reason(reason.get("Code", "None"), _plain_item(reason.get("Item")))
        for reason in refusal.get("CancellationReasons", ())
    )
    message = str(refusal.get("message") or refusal.get("Message") or "")
    return WireError(code, message, _plain_item(refusal.get("Item")), reasons)


def _plain_item(item: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if item is None else from_item(item)


def _again(error: WireError | NetError, repeatable: bool) -> bool:
    if isinstance(error, NetError):
        return repeatable or not error.sent
    if error.code == "InternalServerError":
        return repeatable  # DynamoDB may have written before it failed
    if error.reasons:
        codes = {reason.code for reason in error.reasons}
        return codes <= _CONTENTION and codes != {"None"}
    return error.code in _UNTOUCHED
