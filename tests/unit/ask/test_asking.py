"""Asking over a gateway that follows a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from quintet.ask.asking import Asking
from quintet.ask.model import Question
from quintet.ask.pump import Pump, Put
from quintet.errors import Failure, Kind
from quintet.gateway.model import Ask, Choice, Delta, Payer, Terms
from tests.fakes.gateway import FakeGateway, FakeJournal, Reply
from tests.loops import on_a_loop

PAYER = Payer("ada", "user#ada")


class Everything:
    async def known(self, model: str) -> bool:
        return model != "unknown"


def asking(gateway: FakeGateway) -> Asking:
    return Asking(lambda: gateway, Everything())


async def streamed(gateway: FakeGateway, question: Question) -> list[str]:
    stream = await asking(gateway).stream(question, PAYER, FakeJournal())
    try:
        return [piece async for piece in stream.pump.pieces()]
    finally:
        await stream.pump.close()


@on_a_loop
async def test_one_model_answers() -> None:
    gateway, journal = FakeGateway(), FakeJournal()
    answered = await asking(gateway).answer(Question("hello there", ("gpt-4o",)), PAYER, journal)
    assert (answered.output, answered.tokens, answered.models) == ("hello there", 4, ("builtin/echo",))
    assert gateway.asked[0].terms == Terms(hint="gpt-4o")
    assert len(journal.calls) == 1


@on_a_loop
async def test_tokens_come_in_order_and_make_the_answer() -> None:
    gateway = FakeGateway()
    stream = await asking(gateway).stream(Question("one two three"), PAYER, FakeJournal())
    assert [piece async for piece in stream.pump.pieces()] == ["one ", "two ", "three"]
    await stream.pump.close()
    assert stream.outcome().output == "one two three"
    assert gateway.cancelled == []


@on_a_loop
async def test_leaving_a_stream_hangs_up_and_settles() -> None:
    gateway = FakeGateway(script=lambda _ask, _terms: "word " * 1000)
    stream = await asking(gateway).stream(Question("x"), PAYER, FakeJournal())
    async for _ in stream.pump.pieces():
        break
    await stream.pump.close()
    assert len(gateway.cancelled) == 1


@on_a_loop
async def test_a_failure_before_the_first_token_is_raised_at_once() -> None:
    gateway = FakeGateway(script=lambda _ask, _terms: Failure(Kind.UPSTREAM, "all providers failed"))
    with pytest.raises(Failure, match="all providers failed"):
        await asking(gateway).stream(Question("x"), PAYER, FakeJournal())


@on_a_loop
async def test_a_refusal_is_an_answer() -> None:
    gateway = FakeGateway(script=lambda _ask, _terms: Choice(None, refusal="I would rather not"))
    assert (await asking(gateway).answer(Question("x"), PAYER, FakeJournal())).output == "I would rather not"


@on_a_loop
async def test_an_unknown_model_is_refused_and_not_quoted() -> None:
    gateway = FakeGateway()
    for models in (("unknown",), ("gpt-4o", "unknown")):
        with pytest.raises(Failure) as failure:
            await asking(gateway).answer(Question("x", models), PAYER, FakeJournal())
        assert failure.value.kind is Kind.NOT_FOUND
        assert "unknown" not in failure.value.message
    assert gateway.asked == []


def by_model(answers: dict[str, Reply]) -> Any:
    return lambda _ask, terms: answers[terms.hint]


@on_a_loop
async def test_several_models_are_heard_and_one_speaks_for_all() -> None:
    script = by_model({"a": "It is Rome", "b": "It is Paris", "c": "Paris it is"})
    answered = await asking(FakeGateway(script=script)).answer(Question("x", ("a", "b", "c")), PAYER, FakeJournal())
    assert answered.output == "It is Paris"
    assert answered.agreement == pytest.approx(7 / 9)
    assert [reply.output for reply in answered.replies] == ["It is Rome", "It is Paris", "Paris it is"]


@on_a_loop
async def test_a_model_that_fails_is_listed_with_its_failure() -> None:
    script = by_model({"a": Failure(Kind.UPSTREAM, "down"), "b": "yes", "c": "yes"})
    answered = await asking(FakeGateway(script=script)).answer(Question("x", ("a", "b", "c")), PAYER, FakeJournal())
    assert (answered.output, answered.agreement) == ("yes", 1.0)
    assert [reply.failure for reply in answered.replies] == ["down", None, None]


@on_a_loop
async def test_where_none_answers_the_first_failure_is_told() -> None:
    script = by_model({"a": Failure(Kind.EXHAUSTED, "budget"), "b": Failure(Kind.UPSTREAM, "down")})
    with pytest.raises(Failure, match="budget"):
        await asking(FakeGateway(script=script)).answer(Question("x", ("a", "b")), PAYER, FakeJournal())


@on_a_loop
async def test_a_consensus_is_streamed_too() -> None:
    text = "word " * 40
    pieces = await streamed(FakeGateway(script=lambda _ask, _terms: text), Question("x", ("a", "b")))
    assert "".join(pieces) == text
    assert len(pieces) > 1


class Slow(FakeGateway):
    """A vendor that stands still after its first token until it is told to go on, and whose block must be left by the
    task that entered it."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()

    @asynccontextmanager
    async def stream(self, ask: Ask, terms: Terms, *rest: Any, **more: Any) -> AsyncIterator[Any]:
        async with asyncio.timeout(20), super().stream(ask, terms, *rest, **more) as inner:
            try:
                yield _Halting(inner, self.go_on)
            finally:
                self.left.set()


class _Halting:
    def __init__(self, inner: Any, go_on: asyncio.Event) -> None:
        self._inner = inner
        self._go_on = go_on

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __aiter__(self) -> AsyncIterator[Delta]:
        async for delta in self._inner:
            yield delta
            await self._go_on.wait()


@on_a_loop
async def test_the_first_token_does_not_wait_for_the_second() -> None:
    gateway = Slow()
    stream = await asking(gateway).stream(Question("one two"), PAYER, FakeJournal())
    pieces = stream.pump.pieces()
    assert await anext(pieces) == "one "
    gateway.go_on.set()
    assert [piece async for piece in pieces] == ["two"]
    await stream.pump.close()


@on_a_loop
async def test_hanging_up_does_not_wait_for_a_vendor_that_stands_still() -> None:
    gateway = Slow()
    stream = await asking(gateway).stream(Question("one two"), PAYER, FakeJournal())
    await stream.pump.close()
    assert gateway.left.is_set()
    assert len(gateway.cancelled) == 1


@on_a_loop
async def test_what_piles_up_comes_together() -> None:
    async def work(put: Put) -> None:
        for number in range(20):
            await put(str(number % 10))

    pump = await Pump.begun(work)
    await asyncio.sleep(0.01)
    pieces = [piece async for piece in pump.pieces(most=8)]
    assert "".join(pieces) == "01234567890123456789"
    assert [len(piece) for piece in pieces] == [8, 8, 4]
    await pump.close()


@on_a_loop
async def test_a_failure_comes_after_all_that_came_before_it() -> None:
    async def work(put: Put) -> None:
        await put("a")
        await put("b")
        raise Failure(Kind.UPSTREAM, "broke off")

    pump = await Pump.begun(work)
    await asyncio.sleep(0.01)
    pieces = pump.pieces(most=100)
    assert await anext(pieces) == "ab"
    with pytest.raises(Failure, match="broke off"):
        await anext(pieces)
    await pump.close()


@on_a_loop
async def test_a_reader_that_does_not_read_loses_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quintet.ask.pump.STALLED_SECONDS", 0.05)
    ended = asyncio.Event()

    async def work(put: Put) -> None:
        try:
            while True:
                await put("x")
        finally:
            ended.set()

    pump = await Pump.begun(work)
    await ended.wait()
    await pump.close()
