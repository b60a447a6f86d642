"""A process of its own that spends on one account as an instance of the gateway does, until it is killed."""

import asyncio
import os
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.definitions import Definitions
from quintet.gateway.ledger.keeper import Keeper
from quintet.gateway.ledger.leases import Leases, Term
from quintet.gateway.ledger.model import Reservation
from quintet.gateway.ledger.settling import Settling
from quintet.gateway.ledger.store import abandoned, budgets, purses
from quintet.gateway.model import Payer
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import millis
from quintet.store.ids import new_id
from quintet.telemetry.requests import SHARDS, bucket, bucket_of

SECONDS = 300.0
TERM = Term(drawn=timedelta(seconds=1))


def keeper() -> Keeper:
    return Keeper(
        purses,
        Definitions(budgets),
        Leases(purses, term=TERM),
        Settling(purses, abandoned).give_up,
        unheard,
    )


async def unheard(*_told: Any) -> None:
    pass


def spend(environment: Mapping[str, str], payer: Payer, provider: str, begun: Any, index: int, most: int) -> None:
    """Makes calls until there were `most`, by this process and by those that died in its place: `begun[index]` counts.

    The first thing its process does.
    """
    os.environ.clear()
    os.environ.update(environment)
    asyncio.run(_spend(payer, provider, begun, index, most))


async def _spend(payer: Payer, provider: str, begun: Any, index: int, most: int) -> None:
    ledger, chance = keeper(), random.Random()
    while begun[index] < most:
        begun[index] += 1
        bound = chance.randint(50, 150)
        now = datetime.now(UTC)
        try:
            held = await ledger.reserve(payer, new_id("call", now), bound, now, SECONDS, provider=provider, model="m")
        except Failure as failure:
            if failure.kind is not Kind.EXHAUSTED:
                raise
            continue
        await asyncio.sleep(chance.uniform(0, 0.05))  # the vendor at work
        if chance.random() < 0.05:
            await ledger.release(held)
            continue
        await ledger.settle(held, chance.randint(0, bound))
        await record(held, now)


async def record(held: Reservation, now: datetime) -> None:
    record_id = new_id("rec", now)
    call = {"call_id": held.call_id, "cost": held.settle["cost"], "settle": dict(held.settle)}
    row = {"bucket": bucket_of(record_id), "record_id": record_id, "request_id": held.call_id, "at": millis(now)}
    item = wire.to_item({**row, "facts": {"calls": [call]}})
    await wire.call("PutItem", {"TableName": settings().table("requests"), "Item": item}, idempotent=True)


async def recorded(since: datetime, account: str) -> list[dict[str, Any]]:
    """All that the request log has of this account's calls."""
    found: list[dict[str, Any]] = []
    for hour in {f"{since:%Y-%m-%dT%H}": since, f"{datetime.now(UTC):%Y-%m-%dT%H}": datetime.now(UTC)}.values():
        pages = await asyncio.gather(*[_bucket(bucket(hour, shard)) for shard in range(SHARDS)])
        found += [row for page in pages for row in page]
    return [row for row in found if _account(row) == account]


async def _bucket(name: str) -> list[dict[str, Any]]:
    request: dict[str, Any] = {
        "TableName": settings().table("requests"),
        "KeyConditionExpression": "#b = :b",
        "ExpressionAttributeNames": {"#b": "bucket"},
        "ExpressionAttributeValues": wire.to_item({":b": name}),
    }
    rows: list[dict[str, Any]] = []
    while True:
        answer = await wire.call("Query", request)
        rows += [wire.from_item(item) for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            return rows
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _account(row: Mapping[str, Any]) -> str | None:
    calls = (row.get("facts") or {}).get("calls") or [{}]
    account: str | None = (calls[0].get("settle") or {}).get("account")
    return account
