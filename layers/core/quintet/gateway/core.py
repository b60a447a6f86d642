"""The gateway itself: chooses a model, and leads the call to its end."""

import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from quintet.errors import Failure, Kind
from quintet.gateway.calls import Attempt, Call, Order, Outdated, Ports
from quintet.gateway.catalogue.model import Model
from quintet.gateway.chain import Chain
from quintet.gateway.failures import NOTHING_ELIGIBLE, model_not_found, nothing_eligible
from quintet.gateway.model import Ask, Completion, Journal, Payer, Stream, Terms
from quintet.gateway.providers.model import Answer
from quintet.gateway.records import undecided_record
from quintet.gateway.routing import Decision, Wish, decide, lacks, larger, usd, wish_of
from quintet.gateway.streams import opened
from quintet.gateway.view import View
from quintet.store.ids import new_id

T = TypeVar("T")

STREAM_LIFE = 840.0  # seconds: a function lives 15 minutes at the most


class Core:
    """`view` answers what is known of the catalogue and of the present."""

    def __init__(self, view: Callable[[], Awaitable[View]], ports: Ports) -> None:
        self._view = view
        self._ports = ports

    async def complete(
        self, ask: Ask, terms: Terms, payer: Payer, journal: Journal, /, *, call_id: str | None = None
    ) -> Completion:
        call, (attempt, answer) = await self._reach(
            lambda again: self._begin(ask, terms, payer, journal, call_id, again=again), lambda _call: _completed
        )
        outcome = call.used(attempt, answer.usage)
        completion = call.completion(attempt, answer.choices, outcome, answer.raw)
        await call.settle(attempt, outcome)
        return completion

    @asynccontextmanager
    async def stream(
        self, ask: Ask, terms: Terms, payer: Payer, journal: Journal, /, *, call_id: str | None = None
    ) -> AsyncIterator[Stream]:
        _, (_, live) = await self._reach(
            lambda again: self._begin(ask, terms, payer, journal, call_id, stream=True, again=again),
            lambda call: lambda attempt: opened(attempt, call),
        )
        try:
            yield live
        finally:
            await live.close()

    async def _reach(
        self,
        begin: Callable[[bool], Awaitable[Call]],
        act: Callable[[Call], Callable[[Attempt], Awaitable[T]]],
    ) -> tuple[Call, tuple[Attempt, T]]:
        call = await begin(False)
        try:
            return call, await call.reach(act(call))
        except Outdated:
            call = await begin(True)
            return call, await call.reach(act(call))

    async def _begin(
        self,
        ask: Ask,
        terms: Terms,
        payer: Payer,
        journal: Journal,
        call_id: str | None,
        *,
        stream: bool = False,
        again: bool = False,
    ) -> Call:
        began, now = time.perf_counter(), self._ports.clock.now()
        view = await self._view()
        wish = wish_of(ask, terms, view.catalogue.defaults)
        call_id = call_id or new_id("call", now)
        decision: Decision | None = None
        if terms.model is not None:
            queue = [_named(view, wish, terms, now)]
        else:
            decision = decide(view, wish, now, seed=zlib.crc32(call_id.encode()))
            if not decision.ranking:
                journal.undecided(undecided_record(call_id, decision, NOTHING_ELIGIBLE))
                raise nothing_eligible(decision)
            queue = [view.catalogue.models[name] for name in decision.ranking]

        def roomier(model: Model, tried: Sequence[str]) -> Model | None:
            return larger(view, wish, now, model, tried) if decision else None

        life = STREAM_LIFE if stream else 0.0
        order = Order(call_id, ask, payer, journal, view, wish, decision, began, stream, life, again)
        return Call(order, Chain(queue, roomier), self._ports)


async def _completed(attempt: Attempt) -> Answer:
    return await attempt.adapter.complete(attempt.bound.ask, attempt.target, attempt.seconds)


def _named(view: View, wish: Wish, terms: Terms, now: datetime) -> Model:
    """Raises Failure for a model that there is not, or that cannot do what is asked."""
    name = terms.model or ""
    model = view.catalogue.named(name)
    if model is None:
        raise model_not_found(name)
    standing = view.standing(model)
    if standing is not None:
        raise model_not_found(name, f"cannot be used: {standing}")
    missing = lacks(model, wish)
    if missing:
        details = {"field": "model", "model": model.id, "missing": missing}
        raise Failure(
            Kind.REJECTED, f"'{model.id}' cannot do: {', '.join(missing)}", code="unsupported", details=details
        )
    cost = model.price.of(wish.tokens, wish.output)
    if terms.max_budget is not None and cost > terms.max_budget:
        why = f"'{model.id}' would cost about {usd(cost)} USD, which is above the limit of {usd(terms.max_budget)}"
        raise Failure(Kind.REJECTED, why, code="over_budget", details={"field": "model", "model": model.id})
    health = view.present.of(model.provider)
    if health.limited and health.cooling(now):
        why = f"The vendor of '{model.id}' takes no more requests for now"
        raise Failure(Kind.LIMITED, why, details={"model": model.id}, retry_after=health.cooling(now))
    return model
