"""How long a message stays with its invocation."""

import asyncio

import pytest

from quintet.settings import settings
from sockets import services
from tests.loops import on_a_loop
from tests.unit.identity.conftest import Configure


@on_a_loop
async def test_where_the_process_lives_on_a_long_answer_goes_on_without_its_invocation(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_STAY_SECONDS", 0.01)
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def long() -> None:
        await go_on.wait()
        ended.set()

    await services.stay(long())
    assert not ended.is_set()
    go_on.set()
    await ended.wait()


@on_a_loop
async def test_a_short_answer_is_waited_for_and_its_fault_told(configure: Configure) -> None:
    async def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await services.stay(broken())


@on_a_loop
async def test_on_lambda_nothing_goes_on_after_the_invocation(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_STAY_SECONDS", 0.0)
    configure(aws_lambda_function_name="f")
    assert settings().on_lambda
    ended = asyncio.Event()

    async def long() -> None:
        await asyncio.sleep(0.02)
        ended.set()

    await services.stay(long())
    assert ended.is_set()
