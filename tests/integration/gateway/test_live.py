"""The gateway as functions use it, over the tables: on a fresh machine, where nobody has configured anything."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from quintet.gateway import live
from quintet.gateway.journals import WorkJournal
from quintet.gateway.model import Ask, Completion, Payer, Terms
from quintet.settings import settings
from quintet.store import wire
from quintet.store.items import from_item
from quintet.telemetry.requests import bucket_of
from tests.conftest import Stack

pytestmark = pytest.mark.usefixtures("quiet_tables")
PAYER = Payer("somebody", "user#somebody")


@pytest.fixture(autouse=True)
def _fresh(stack: Stack, quiet_tables: None) -> Iterator[None]:
    """Nobody has configured anything: what other tests have put down is taken away."""
    dynamodb = stack.endpoint.client("dynamodb")
    for name in (settings().table("catalogue"), settings().table("present")):
        for row in dynamodb.scan(TableName=name)["Items"]:
            dynamodb.delete_item(TableName=name, Key={"pk": row["pk"], "sk": row["sk"]})
    live.views.cache_clear()
    live.gateway.cache_clear()
    yield
    live.views.cache_clear()
    live.gateway.cache_clear()


def test_a_fresh_machine_answers_from_the_builtin_model_and_says_so() -> None:
    async def work() -> tuple[Completion, str]:
        async with WorkJournal("workflow", "try", principal="somebody") as journal:
            ask = Ask([{"role": "user", "content": "Hello"}])
            done = await live.gateway().complete(ask, Terms(min_weight=6), PAYER, journal)
        return done, journal.record_id

    done, record_id = asyncio.run(work())
    assert (done.model, done.provider, done.cost, done.reason) == ("builtin/echo", "builtin", 0, "mode=normal")
    assert "Hello" in done.content
    (call,) = _record(record_id)["facts"]["calls"]
    assert (call["call_id"], call["model"], call["status"]) == (done.call_id, "builtin/echo", "ok")


def test_work_that_called_nothing_leaves_no_record() -> None:
    async def work() -> str:
        async with WorkJournal("workflow", "nothing") as journal:
            pass
        return journal.record_id

    assert _record(asyncio.run(work())) == {}


def test_streams_too() -> None:
    async def work() -> tuple[str, Completion]:
        async with (
            WorkJournal("workflow", "try", principal="somebody") as journal,
            live.gateway().stream(
                Ask([{"role": "user", "content": "Hello"}]), Terms(model="builtin/echo"), PAYER, journal
            ) as stream,
        ):
            text = "".join([delta.text async for delta in stream])
            return text, stream.completion

    text, done = asyncio.run(work())
    assert text == done.content
    assert done.finish_reason == "stop"


def _record(record_id: str) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        key = wire.to_item({"bucket": bucket_of(record_id), "record_id": record_id})
        answer = await wire.call("GetItem", {"TableName": settings().table("requests"), "Key": key})
        return from_item(answer.get("Item", {}))

    return asyncio.run(read())
