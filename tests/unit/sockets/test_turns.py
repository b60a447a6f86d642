"""One message of a connection after another."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.sockets.model import Connection, Gone
from quintet.sockets.turns import turn
from tests.fakes.sockets import FakeConnections
from tests.loops import on_a_loop


async def opened() -> FakeConnections:
    connections = FakeConnections()
    for name in ("a", "b"):
        await connections.open(Connection(name, "toron", None, datetime.now(UTC)))
    return connections


@on_a_loop
async def test_blocks_of_one_connection_run_in_the_order_of_their_arrival() -> None:
    connections = await opened()
    told: list[str] = []

    async def work(number: int) -> None:
        async with turn(connections, "a"):
            told.append(f"{number} begins")
            await asyncio.sleep(0.01)
            told.append(f"{number} ends")

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(work(number))
            await asyncio.sleep(0.002)
    assert told == [f"{number} {what}" for number in range(4) for what in ("begins", "ends")]
    assert connections.lines["a"] == {}


@on_a_loop
async def test_other_connections_do_not_wait() -> None:
    connections = await opened()
    async with turn(connections, "a"), turn(connections, "b"):
        pass


@on_a_loop
async def test_who_died_in_front_does_not_hold_up_the_line() -> None:
    connections = await opened()
    await connections.line_up("a", "turn_0", datetime.now(UTC) - timedelta(seconds=1))
    async with turn(connections, "a"):
        pass


@on_a_loop
async def test_a_failing_block_leaves_the_line() -> None:
    connections = await opened()
    with pytest.raises(LookupError):
        async with turn(connections, "a"):
            raise LookupError
    assert connections.lines["a"] == {}


@on_a_loop
async def test_refuses_when_too_many_wait() -> None:
    connections = await opened()
    for number in range(17):
        await connections.line_up("a", f"turn_0{number:02d}", datetime.now(UTC) + timedelta(minutes=1))
    with pytest.raises(Failure) as refused:
        async with turn(connections, "a"):
            raise AssertionError
    assert refused.value.kind is Kind.LIMITED
    assert len(connections.lines["a"]) == 17


@on_a_loop
async def test_a_connection_that_closes_while_one_waits_is_gone() -> None:
    connections = await opened()
    await connections.line_up("a", "turn_0", datetime.now(UTC) + timedelta(minutes=1))

    async def wait() -> None:
        async with turn(connections, "a"):
            raise AssertionError

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.01)
    await connections.remove("a")
    with pytest.raises(Gone):
        await waiting
