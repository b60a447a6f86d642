"""The life of one call: reserve, ask, fail over, settle, record."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from quintet.errors import Failure, Kind
from quintet.gateway.bounds import LEAST_OUTPUT, Bound, affordable_output, bound_of
from quintet.gateway.catalogue.model import Model, Provider
from quintet.gateway.chain import Chain
from quintet.gateway.failures import SICKENING, all_failed, failure_of, nothing_eligible
from quintet.gateway.keys import rules_of, url_of
from quintet.gateway.ledger.model import Ledger, Reservation
from quintet.gateway.model import Ask, Choice, Completion, Journal, Payer, Usage
from quintet.gateway.present import Health
from quintet.gateway.providers.model import Fault, ProviderFault, Target
from quintet.gateway.providers.model import Provider as Adapter
from quintet.gateway.records import call_record, decision_record, undecided_record
from quintet.gateway.routing import Decision, Wish
from quintet.gateway.view import View
from quintet.store.clock import Clock

LEASE_MARGIN = 30.0  # seconds that a reservation outlives the longest call that it can be for

T = TypeVar("T")


class Healths(Protocol):
    """What all instances know of the providers: `gateway.present`."""

    async def failed(self, provider: str, message: str, now: datetime, /) -> Health: ...

    async def limited(self, provider: str, message: str, seconds: float | None, now: datetime, /) -> Health: ...

    async def recovered(self, provider: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a call needs of the world. `forget` says that what this instance knows of it is out of date; `outdated`
    answers whether the catalogue has changed since a view of it was taken."""

    ledger: Ledger
    health: Healths
    adapter: Callable[[str], Adapter]
    clock: Clock
    forget: Callable[[], None]
    outdated: Callable[[View], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, for whom, and what was decided about it: nothing where a model was named.

    `life` is the time in seconds that a streamed answer may take after its first piece. `again` says that the catalogue
    has changed under this call once.
    """

    call_id: str
    ask: Ask
    payer: Payer
    journal: Journal
    view: View
    wish: Wish
    decision: Decision | None
    began: float
    stream: bool = False
    life: float = 0.0
    again: bool = False


@dataclass(slots=True)
class Attempt:
    """A model that money is held for, and its bound that makes the amount the most it can cost."""

    model: Model
    provider: Provider
    adapter: Adapter
    target: Target
    bound: Bound
    reservation: Reservation
    began: float = 0.0
    seconds: float = 0.0

    def lasted_ms(self) -> float:
        return (time.perf_counter() - self.began) * 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, for its record. `status` is ok, error or cut."""

    status: str
    usage: Usage
    cost: int
    failure: str | None = None
    first_token_ms: float | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)


class Outdated(Exception):  # noqa: N818 - an outcome
    """The catalogue changed while money was reserved: choose again. Nothing is held, nobody was asked."""


class Call:
    def __init__(self, order: Order, chain: Chain, ports: Ports) -> None:
        self.order = order
        self._chain = chain
        self._ports = ports
        self._deadline = order.began + order.wish.max_latency_ms / 1000
        self._vendor_ms = 0.0  # spent waiting for vendors, until one of them answered
        self._reserved = 0
        self._told = 0  # attempts that a record has told of
        self._broke: Failure | None = None  # the first refusal for want of money

    async def reach(self, act: Callable[[Attempt], Awaitable[T]]) -> tuple[Attempt, T]:
        """Tries one model after the other until one answers. Raises Failure when none does."""
        attempt: Attempt | None = None
        while True:
            model = self._chain.next(self._left())
            if model is None:
                if attempt is not None:
                    await self._ports.ledger.release(attempt.reservation)
                self._note_failure()
                failure = self._given_up()
                if self._chain.last is None and self.order.decision is not None:
                    told = undecided_record(self.order.call_id, self.order.decision, failure.message)
                    self.order.journal.undecided(told)
                raise failure
            if attempt is None or attempt.model.id != model.id:
                attempt = await self._reserve(model)
                if attempt is None:
                    self._chain.skip()
                    continue
                await self._check(attempt)
            attempt.began, attempt.seconds = time.perf_counter(), self._chain.seconds(self._left())
            try:
                async with asyncio.timeout(attempt.seconds):
                    answer = await act(attempt)
            except ProviderFault as fault:
                attempt = await self._failed(attempt, fault)
            except TimeoutError:
                late = ProviderFault(Fault.TIMEOUT, f"no answer within {attempt.seconds:.1f} s", charged=True)
                attempt = await self._failed(attempt, late)
            except BaseException:  # whoever asked has gone: the vendor may have worked all the same
                await asyncio.shield(self.settle(attempt, self._at_the_bound(attempt, "cut", "cancelled")))
                raise
            else:
                self._vendor_ms += attempt.lasted_ms()
                await self._recovered(attempt)
                return attempt, answer

    async def broke(self, attempt: Attempt, fault: ProviderFault) -> None:
        """In the middle of its answer: nobody else can go on from there."""
        self._chain.note(attempt.model, fault, attempt.lasted_ms())
        await self._tell_health(attempt, fault)

    async def settle(self, attempt: Attempt, outcome: Outcome) -> None:
        """Once per attempt that may have cost something."""
        await self._ports.ledger.settle(attempt.reservation, outcome.cost)
        self._note(attempt, outcome)

    def completion(self, attempt: Attempt, choices: tuple[Choice, ...], outcome: Outcome, raw: Any) -> Completion:
        return Completion(
            call_id=self.order.call_id,
            model=attempt.model.id,
            provider=attempt.provider.id,
            choices=choices,
            usage=outcome.usage,
            estimated=self.estimated(attempt.model),
            cost=outcome.cost,
            reason=self.reason,
            latency_ms=self._elapsed_ms(),
            first_token_ms=outcome.first_token_ms,
            raw=raw,
        )

    def used(self, attempt: Attempt, usage: Usage | None, **beside: Any) -> Outcome:
        """Unknown usage is the bound, never nothing."""
        if usage is None:
            return self._at_the_bound(attempt, "ok", None, **beside)
        price = attempt.model.price
        cost = price.of(usage.input, usage.output, usage.cached, usage.cache_written)
        if cost > attempt.bound.cost:  # a vendor that counts more than there can be: no budget pays for that
            beside["overrun"] = cost - attempt.bound.cost
        return Outcome("ok", usage, min(cost, attempt.bound.cost), beside=beside)

    @property
    def reason(self) -> str:
        decision = self.order.decision
        reason = decision.reason if decision else f"model={self._chain.tried[0]}"
        return reason + self._chain.failover

    def estimated(self, model: Model) -> int:
        return model.price.of(self.order.wish.tokens, self.order.wish.output)

    def _left(self) -> float:
        return self._deadline - time.perf_counter()

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self.order.began) * 1000

    async def _reserve(self, model: Model) -> Attempt | None:
        """None when there is no money for this model: a cheaper one may do."""
        view, ask = self.order.view, self.order.ask
        provider = view.catalogue.providers[model.provider]
        bound = bound_of(ask, model)
        try:
            reservation = await self._held(model, bound.cost)
        except Failure as failure:
            if failure.kind is not Kind.EXHAUSTED:
                raise
            affordable = affordable_output(bound, model, int(failure.details.get("affordable", 0)))
            if affordable < min(LEAST_OUTPUT, bound.ask.max_tokens or LEAST_OUTPUT):
                self._broke = self._broke or failure
                return None
            bound = bound_of(ask, model, affordable)
            try:
                reservation = await self._held(model, bound.cost)
            except Failure as again:  # others were quicker
                if again.kind is not Kind.EXHAUSTED:
                    raise
                self._broke = self._broke or again
                return None
        target = Target(
            name=model.name,
            base_url=url_of(provider),
            rules=rules_of(provider),
            api_key=view.keys.get(provider.id, ""),
            abilities=model.capabilities,
            max_output=model.max_output,
            options={**provider.options, **model.options},
        )
        return Attempt(model, provider, self._ports.adapter(provider.kind), target, bound, reservation)

    async def _check(self, attempt: Attempt) -> None:
        """Raises Outdated, once in a call: nothing changes as often as that."""
        if self.order.again or self._chain.attempts:
            return
        try:
            outdated = await self._ports.outdated(self.order.view)
        except BaseException:  # whoever asked has gone
            await asyncio.shield(self._ports.ledger.release(attempt.reservation))
            raise
        if outdated:
            await self._ports.ledger.release(attempt.reservation)
            raise Outdated

    async def _held(self, model: Model, bound: int) -> Reservation:
        """Every reservation of the call has a name of its own; the first has the call's."""
        call_id = self.order.call_id if not self._reserved else f"{self.order.call_id}.{self._reserved}"
        reservation = await self._ports.ledger.reserve(
            self.order.payer,
            call_id,
            bound,
            self._ports.clock.now(),
            max(0.0, self._left()) + self.order.life + LEASE_MARGIN,
            provider=model.provider,
            model=model.id,
        )
        self._reserved += 1
        return reservation

    async def _failed(self, attempt: Attempt, fault: ProviderFault) -> Attempt | None:
        """Answers the attempt if it is to be tried once more with the money that is held."""
        latency_ms = attempt.lasted_ms()
        self._vendor_ms += latency_ms
        again = self._chain.failed(attempt.model, fault, latency_ms, self._left())
        await self._tell_health(attempt, fault)
        again = again and attempt.model in self._chain.queue  # it may be left alone by now
        if fault.charged:
            await self.settle(attempt, self._at_the_bound(attempt, "error", fault.fault.value))
        elif not again:
            await self._ports.ledger.release(attempt.reservation)
        held = attempt if again and not fault.charged else None
        if again:
            try:
                await asyncio.sleep(min(self._chain.pause(random.random()), max(0.0, self._left())))  # noqa: S311 - jitter
            except asyncio.CancelledError:
                if held is not None:
                    await asyncio.shield(self._ports.ledger.release(held.reservation))
                raise
        return held

    def _at_the_bound(self, attempt: Attempt, status: str, failure: str | None, **beside: Any) -> Outcome:
        usage = Usage(attempt.bound.input, attempt.bound.output, known=False)
        return Outcome(status, usage, attempt.bound.cost, failure, beside=beside)

    async def _tell_health(self, attempt: Attempt, fault: ProviderFault) -> None:
        provider, told = attempt.provider.id, f"{fault.fault.value}: {fault.message}"
        before = self.order.view.present.of(provider).state
        if fault.fault is Fault.RATE_LIMITED:
            health = await self._ports.health.limited(provider, told, fault.retry_after, self._ports.clock.now())
        elif fault.fault in SICKENING:
            health = await self._ports.health.failed(provider, told, self._ports.clock.now())
        else:
            return
        self._ports.forget()
        if health.cooling(self._ports.clock.now()):
            self._chain.leave(provider)
        if health.state is not before:
            self._chain.attempts[-1]["health"] = health.state.value

    async def _recovered(self, attempt: Attempt) -> None:
        known = self.order.view.present.of(attempt.provider.id)
        ill = known.errors or any(each["provider"] == attempt.provider.id for each in self._chain.attempts)
        if ill:
            await self._ports.health.recovered(attempt.provider.id)
            self._ports.forget()

    def _given_up(self) -> Failure:
        decision, chain = self.order.decision, self._chain
        if chain.last is None and self._broke is not None:
            return self._broke
        if decision is None and chain.last is not None:
            model, fault = chain.last
            failure = failure_of(model.id, fault)
        elif chain.attempts:
            failure = all_failed(chain.attempts, decision)
        elif decision is not None and not decision.ranking:
            failure = nothing_eligible(decision)
        else:
            failure = Failure(Kind.TIMEOUT, "There was no time left to ask a model")
        return failure

    def _note_failure(self) -> None:
        """Of a call that nobody answered, unless the records of what its attempts cost have told all of it."""
        if self._chain.last is not None and self._told < len(self._chain.attempts):
            model, fault = self._chain.last
            outcome = Outcome("error", Usage(), 0, fault.fault.value)
            self._tell(self.order.call_id, model, outcome, bound=0, settle={})

    def _note(self, attempt: Attempt, outcome: Outcome) -> None:
        held = attempt.reservation
        self._tell(held.call_id, attempt.model, outcome, bound=attempt.bound.cost, settle=held.settle)

    def _tell(self, call_id: str, model: Model, outcome: Outcome, *, bound: int, settle: Mapping[str, Any]) -> None:
        order, decision = self.order, self.order.decision
        candidate = decision.candidate(model.id) if decision else None
        attempts, self._told = self._chain.attempts[self._told :], len(self._chain.attempts)
        told = call_record(
            call_id=call_id,
            model=model.id,
            provider=model.provider,
            status=outcome.status,
            failure=outcome.failure,
            usage=outcome.usage,
            estimated=candidate.cost if candidate else self.estimated(model),
            bound=bound,
            cost=outcome.cost,
            latency_ms=self._elapsed_ms(),
            overhead_ms=(outcome.first_token_ms or self._elapsed_ms()) - self._vendor_ms,
            first_token_ms=outcome.first_token_ms,
            wish=order.wish,
            reason=self.reason,
            weight=model.weight,
            attempts=attempts,
            decision=decision_record(decision, model) if decision else None,
            stream=order.stream,
            payer=order.payer,
            settle=settle,
        )
        order.journal.note({**told, **outcome.beside})
