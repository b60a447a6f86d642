"""The verbs: ask one model, ask several and find what they agree on, or stream."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from quintet.ask.consensus import agreed
from quintet.ask.model import Answered, Question, Reply, check_prompt, told
from quintet.ask.pump import Pump, Put
from quintet.errors import Failure, Kind
from quintet.gateway.model import Gateway, Journal, Payer

_PIECE = 64  # characters: a consensus has no tokens of its own, it is told in pieces


class Names(Protocol):
    """The catalogue, as far as a prompt needs it."""

    async def known(self, model: str, /) -> bool:
        """Whether there is such a model, under this name or an alias."""
        ...


@dataclass(slots=True)
class Streamed:
    """An answer on its way. `outcome` is there once it has ended."""

    pump: Pump
    outcome: Callable[[], Answered]


@dataclass(frozen=True, slots=True)
class Asking:
    gateway: Callable[[], Gateway]
    names: Names

    async def answer(self, question: Question, payer: Payer, journal: Journal) -> Answered:
        await self._check(question)
        if len(question.models) > 1:
            return await self._consensus(question, payer, journal)
        model = next(iter(question.models), None)
        completion = await self.gateway().complete(question.ask(), question.terms(model), payer, journal)
        return Answered(told(completion), completion.usage.total, (completion.model,))

    async def stream(self, question: Question, payer: Payer, journal: Journal) -> Streamed:
        """Raises what goes wrong before the first token."""
        await self._check(question)
        done: list[Answered] = []

        async def one(put: Put) -> None:
            terms = question.terms(next(iter(question.models), None))
            async with self.gateway().stream(question.ask(), terms, payer, journal) as stream:
                await put("")
                async for delta in stream:
                    if text := delta.text or delta.refusal:
                        await put(text)
                completion = stream.completion
            done.append(Answered(told(completion), completion.usage.total, (completion.model,)))

        async def several(put: Put) -> None:
            answered = await self._consensus(question, payer, journal)
            for start in range(0, len(answered.output), _PIECE):
                await put(answered.output[start : start + _PIECE])
            done.append(answered)

        pump = await Pump.begun(several if len(question.models) > 1 else one)
        return Streamed(pump, lambda: done[0])

    async def _check(self, question: Question) -> None:
        check_prompt(question.prompt)
        for model in question.models:
            if not await self.names.known(model):
                raise Failure(
                    Kind.NOT_FOUND,
                    "There is no model of this name: GET /api/v1/models lists those there are",
                    details={"field": "model"},
                )

    async def _consensus(self, question: Question, payer: Payer, journal: Journal) -> Answered:
        """Raises the first model's failure where none answers."""
        replies = await _all([self._reply(question, model, payer, journal) for model in question.models])
        given = [reply for reply in replies if isinstance(reply, Reply)]
        if not given:
            raise next(reply for reply in replies if isinstance(reply, Failure))
        best, agreement = agreed([reply.output for reply in given])
        return Answered(
            given[best].output,
            sum(reply.tokens for reply in given),
            tuple(dict.fromkeys(reply.model for reply in given)),
            agreement,
            [
                Reply(model, failure=reply.told) if isinstance(reply, Failure) else reply
                for model, reply in zip(question.models, replies, strict=True)
            ],
        )

    async def _reply(self, question: Question, model: str, payer: Payer, journal: Journal) -> Reply:
        began = time.perf_counter()
        completion = await self.gateway().complete(question.ask(), question.terms(model), payer, journal)
        latency = round((time.perf_counter() - began) * 1000)
        return Reply(completion.model, told(completion), completion.usage.total, latency)


async def _all(works: list[Awaitable[Reply]]) -> list[Reply | Failure]:
    """What each came to. What nobody expected cancels the others."""

    async def caught(work: Awaitable[Reply]) -> Reply | Failure:
        try:
            return await work
        except Failure as failure:
            return failure

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(caught(work)) for work in works]
    return [task.result() for task in tasks]
