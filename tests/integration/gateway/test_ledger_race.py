"""Sixteen processes, a thousand calls, one cap, and kill -9 in between."""

import asyncio
import multiprocessing
import os
import random
import secrets
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.gateway.ledger import live
from quintet.gateway.ledger.model import Place, Scope, Window
from quintet.gateway.ledger.settling import Settling
from quintet.gateway.ledger.store import abandoned, purses
from quintet.gateway.model import Payer
from quintet.store.clock import SystemClock
from tests.processes import eventually
from tests.spending import recorded, spend

PROCESSES, EACH, KILLED = 16, 63, 12
CAP = 30_000


class Later:
    def now(self) -> datetime:
        return SystemClock().now() + timedelta(hours=1)


@pytest.mark.usefixtures("quiet_tables")
def test_the_cap_holds_to_the_nano_dollar_and_the_ledger_says_what_the_request_log_says() -> None:
    asyncio.run(race())


async def race() -> None:
    word = secrets.token_hex(6)
    payer = Payer(f"owner-{word}", f"key#{word}", key_id=word)
    provider = f"provider-{word}"
    since = datetime.now(UTC)
    control = live.control()
    own, _ = await control.put(Scope.KEY, word, Window.TOTAL, CAP, actor="test", now=since)
    shared, _ = await control.put(Scope.PROVIDER, provider, Window.TOTAL, 10**9, actor="test", now=since)
    settling = Settling(purses, abandoned)

    known: set[str] = set()

    async def told() -> list[dict[str, Any]]:
        """The consumer: what is new, in any order, and some of it that is not."""
        records = await recorded(since, payer.account)
        again = random.sample(sorted(known), min(20, len(known)))
        batch = [each for each in records if each["record_id"] not in known or each["record_id"] in again]
        random.shuffle(batch)
        await settling.settle_records(batch)
        known.update(each["record_id"] for each in batch)
        (state,) = await control.states([own], since)
        assert state.spent + state.reserved <= CAP
        return records

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.spending"])
    begun = context.RawArray("i", PROCESSES)  # no lock: who dies would keep it
    environment = {**os.environ}

    def start(index: int) -> Any:
        process = context.Process(target=spend, args=(environment, payer, provider, begun, index, EACH), daemon=True)
        process.start()
        return process

    processes = [start(index) for index in range(PROCESSES)]

    def kill() -> None:
        eventually(lambda: all(begun) or None)
        for _ in range(KILLED):
            victim = random.choice([index for index, each in enumerate(processes) if each.is_alive()])
            time.sleep(random.uniform(0, 0.05))
            os.kill(processes[victim].pid, signal.SIGKILL)
            processes[victim].join()
            processes[victim] = start(victim)

    killing = asyncio.create_task(asyncio.to_thread(kill))
    async with asyncio.timeout(240):  # a busy machine is no failure
        while any(process.is_alive() for process in processes) or not killing.done():
            await told()
            await asyncio.sleep(0.3)
        await killing
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert sum(begun) == PROCESSES * EACH >= 1000

    await told()
    settling = Settling(purses, abandoned, Later())  # the dead ones' time has run out
    for table in ("accounts", "budgets"):
        for shard in range(purses.HELD_SHARDS):
            await settling.sweep(table, shard)
        await told()
    known.clear()  # everything once more
    records = await told()
    calls = [call for record in records for call in record["facts"]["calls"]]
    assert len({call["call_id"] for call in calls}) == len(calls)
    states = await control.states([own, shared], since)
    assert [(state.spent, state.reserved) for state in states] == [(sum(call["cost"] for call in calls), 0)] * 2
    assert states[0].spent <= CAP
    assert states[0].spent > 0.95 * CAP - 150 * PROCESSES
    found = await purses.read([Place("accounts", payer.account), *shared.places])
    assert [purse.open for purse in found.values()] == [{}] * len(found)
    await control.remove(shared.id, actor="test")
