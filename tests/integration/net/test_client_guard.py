"""Whom the HTTP client calls where rules say whom it may: the addresses are checked where they are dialled."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from quintet.net import client, guard
from quintet.net.client import NetError, send, stream
from quintet.net.guard import Forbidden, Rules
from tests.loops import on_a_loop
from tests.servers import HELLO, Peer, Server, serving

PUBLIC = Rules(schemes=frozenset({"http"}), ports=range(1, 65_536))
NEAR = Rules(schemes=frozenset({"http"}), ports=range(1, 65_536), private=True)
OUTSIDE, INSIDE, NOBODY = "127.0.0.2", "127.0.0.1", "127.0.0.3"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What each look-up of a name answers, the last one again and again. One loopback address counts as public."""
    answers: list[list[str]] = []
    public = guard.is_public
    monkeypatch.setattr(guard, "is_public", lambda address: str(address) == OUTSIDE or public(address))

    def answer(_host: str, port: int, *_args: Any, **_more: Any) -> list[Any]:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return answers


@asynccontextmanager
async def noting(said: list[str], host: str = "0.0.0.0") -> AsyncIterator[Server]:
    """One port, outside and inside: who was asked is noted."""

    async def script(peer: Peer) -> None:
        while await peer.request():
            said.append(peer.writer.get_extra_info("sockname")[0])
            await peer.answer(HELLO)

    async with serving(script, host=host) as server:
        yield server


@on_a_loop
async def test_a_name_that_is_bound_anew_leads_nowhere_else(names: list[list[str]]) -> None:
    names += [[OUTSIDE], [INSIDE]]
    said: list[str] = []
    async with noting(said) as server:
        url = f"http://rebinding.example.com:{server.port}/v1"
        assert (await send("POST", url, rules=PUBLIC)).body == b"hello"
        assert (await send("POST", url, rules=PUBLIC)).body == b"hello"  # the kept connection: nobody looks anything up
        client.close_all()
        with pytest.raises(Forbidden):
            await send("POST", url, rules=PUBLIC)
        with pytest.raises(Forbidden):
            async with stream("POST", url, rules=PUBLIC):
                pass
    assert said == [OUTSIDE, OUTSIDE]


@on_a_loop
async def test_a_name_with_one_inner_address_is_not_called_at_all(names: list[list[str]]) -> None:
    names += [[OUTSIDE, INSIDE]]
    said: list[str] = []
    async with noting(said) as server:
        with pytest.raises(Forbidden):
            await send("POST", f"http://both.example.com:{server.port}/", rules=PUBLIC)
    assert not said


@on_a_loop
async def test_a_connection_that_nobody_checked_is_not_used_by_who_must(names: list[list[str]]) -> None:
    names += [[INSIDE]]
    said: list[str] = []
    async with noting(said) as server:
        url = f"http://shared.example.com:{server.port}/"
        await send("POST", url)
        with pytest.raises(Forbidden):
            await send("POST", url, rules=PUBLIC)
    assert said == [INSIDE]


@on_a_loop
async def test_another_address_of_the_name_is_tried_where_the_first_one_is_dead(names: list[list[str]]) -> None:
    names += [[NOBODY, INSIDE]]
    said: list[str] = []
    async with noting(said, INSIDE) as server:
        await send("POST", f"http://ollama:{server.port}/", rules=NEAR)
    assert said == [INSIDE]


@pytest.mark.usefixtures("names")
@on_a_loop
async def test_a_name_that_nobody_knows_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NetError) as told:
        await send("POST", "http://nowhere.example.com/", rules=PUBLIC)
    assert not told.value.sent


@pytest.fixture(autouse=True)
def _hung_up() -> Iterator[None]:
    yield
    client.close_all()
