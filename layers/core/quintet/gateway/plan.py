"""A plan from several calls: thought once, refined, fought over with a critic, or voted on."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.model import NANO, Ask, Completion, Gateway, Journal, Message, Payer, Terms

MODES = ("adversarial", "planning", "refine", "vote")
_NOT_FOR_PLANS = frozenset({"n", "logprobs", "top_logprobs", "parallel_tool_calls"})  # one text is what a phase makes
_GRACE = 0.5  # seconds beyond the deadline that the gateway has to say itself that it is over

_PLANNER = (
    "You are a planner. Work out a concrete plan for what is asked below: numbered steps in order, each with what is "
    "done and how one sees that it is done. Name assumptions and risks. Answer with the plan alone."
)
_CRITIC = (
    "You are a demanding reviewer of plans, and none of yours is at stake. Look for errors, gaps, wrong order, "
    "unproven assumptions and needless work. Answer with a numbered list of findings, the gravest first, each with "
    "what to do about it."
)
_JUDGE = (
    "You are an impartial judge. Several answers to the same request follow. Choose the one that is most correct, "
    'complete and practical. Answer with JSON only, like {"choice": 1, "reason": "why it is the best"}'
)
_CRITICISE = "Review the plan above."
_REFINE = "A reviewer found this:\n\n{critique}\n\nRewrite the plan so that it holds. Answer with the whole plan alone."
_REFINE_ALONE = "Look for the weaknesses of your plan and rewrite it without them. Answer with the whole plan alone."
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Orchestration:
    """How the calls go together. Weights are the least quality of who plans and of who reviews."""

    mode: str = "adversarial"
    primary_min_weight: float | None = None
    review_min_weight: float | None = None
    iterations: int = 2  # 0 is 1
    votes: int = 3


@dataclass(frozen=True, slots=True)
class Phase:
    """`failure` is why it came to nothing, even if a call was paid."""

    name: str
    completion: Completion | None = None
    failure: str | None = None

    def told(self) -> dict[str, Any]:
        done = self.completion
        told: dict[str, Any] = {"phase": self.name, "status": "ok" if self.failure is None else "error"}
        if self.failure is not None:
            told["error"] = self.failure
        if done is None:
            return told
        return {
            **told,
            "call_id": done.call_id,
            "model": done.model,
            "provider": done.provider,
            "routing_reason": done.reason,
            "estimated_cost_usd": done.estimated / NANO,
            "cost_usd": done.cost / NANO,
            "input_tokens": done.usage.input,
            "output_tokens": done.usage.output,
            "latency_ms": done.latency_ms,
        }


@dataclass(slots=True)
class Plan:
    """What has been made so far; complete once the verb returns."""

    mode: str
    phases: list[Phase] = field(default_factory=list)
    initial: str | None = None
    critiques: list[str] = field(default_factory=list)
    refined: str | None = None
    answers: list[Completion] = field(default_factory=list)
    chosen: int | None = None  # of the answers, from 0
    verdict: str | None = None

    @property
    def done(self) -> list[Completion]:
        return [each.completion for each in self.phases if each.completion is not None and each.failure is None]

    @property
    def primary(self) -> Completion:
        """The call that the plan comes from."""
        return self.answers[self.chosen] if self.chosen is not None else self.done[0]

    @property
    def estimated(self) -> int:
        return sum(phase.completion.estimated for phase in self.phases if phase.completion is not None)

    def response(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "initial_plan": self.initial,
            "critique": self.critiques[-1] if self.critiques else None,
            "critiques": self.critiques,
            "refined_plan": self.refined,
        }
        if self.mode == "vote":
            told["answers"] = [{"model": each.model, "content": each.content} for each in self.answers]
            told["chosen"] = None if self.chosen is None else self.chosen + 1
            told["verdict"] = self.verdict
        return told

    def decision(self) -> dict[str, Any]:
        return {"mode": self.mode, "phases": [phase.told() for phase in self.phases]}


async def make_plan(
    gateway: Gateway,
    ask: Ask,
    terms: Terms,
    how: Orchestration,
    payer: Payer,
    journal: Journal,
    seconds: float,
    now: Callable[[], float] = time.monotonic,
) -> Plan:
    """All phases within `seconds`, and within the terms' budget if they name one.

    Raises Failure that names the phase, with what was produced until then in its details.
    """
    made = _Making(gateway, ask, terms, how, payer, journal, now() + seconds, now)
    await {"adversarial": made.fight, "planning": made.think, "refine": made.refine, "vote": made.vote}[how.mode]()
    return made.plan


class _Making:
    def __init__(
        self,
        gateway: Gateway,
        ask: Ask,
        terms: Terms,
        how: Orchestration,
        payer: Payer,
        journal: Journal,
        until: float,
        now: Callable[[], float],
    ) -> None:
        self.plan = Plan(how.mode)
        self._gateway = gateway
        self._ask = ask
        self._how = how
        self._payer = payer
        self._journal = journal
        self._until = until
        self._now = now
        mode = terms.mode or ("planning" if how.mode == "planning" else "adversarial")
        self._budget = terms.max_budget
        weight = how.primary_min_weight
        self._primary = replace(terms, mode=mode, min_weight=terms.min_weight if weight is None else weight)
        weight = how.review_min_weight
        self._review = replace(
            terms,
            mode=mode,
            model=None,
            hint=None,
            min_weight=terms.min_weight if weight is None else weight,
        )

    async def think(self) -> None:
        await self._first()

    async def refine(self) -> None:
        planner = await self._first()
        for number in range(1, self._rounds + 1):
            await self._again(planner, number, _REFINE_ALONE)

    async def fight(self) -> None:
        planner = await self._first()
        for number in range(1, self._rounds + 1):
            critic = replace(self._review, avoid=self._review.avoid | {planner.model})
            messages = self._messages(_CRITIC, _said(self._best), _asked(_CRITICISE))
            critique = await self._call(f"critique_{number}", messages, critic)
            self.plan.critiques.append(critique.content)
            await self._again(planner, number, _REFINE.format(critique=critique.content))

    async def vote(self) -> None:
        """A voter may fail while another answers."""
        names = [f"answer_{number}" for number in range(1, self._how.votes + 1)]
        calls = [
            self._attempt(name, self._messages(_PLANNER), self._primary, seed=number)
            for number, name in enumerate(names, 1)
        ]
        told = await asyncio.gather(*calls)
        self.plan.phases += [phase for phase, _ in told]
        self.plan.answers = self.plan.done
        if not self.plan.answers:
            raise self._failed(*next((phase.name, failure) for phase, failure in told if failure is not None))
        self.plan.initial = self.plan.refined = self.plan.answers[0].content
        if len(self.plan.answers) > 1:
            await self._judge()
        else:
            self.plan.chosen, self.plan.verdict = 0, "the only answer"

    async def _judge(self) -> None:
        answers = self.plan.answers
        avoid = self._review.avoid | {each.model for each in answers}
        ballot = "\n\n".join(f"Answer {number}:\n{each.content}" for number, each in enumerate(answers, 1))
        judge = await self._call("judge", self._messages(_JUDGE, _asked(ballot)), replace(self._review, avoid=avoid))
        self.plan.chosen, self.plan.verdict = _verdict(judge.content, len(answers))
        self.plan.initial = self.plan.refined = answers[self.plan.chosen].content

    async def _first(self) -> Completion:
        planner = await self._call("plan", self._messages(_PLANNER), self._primary)
        self.plan.initial = self.plan.refined = planner.content
        return planner

    async def _again(self, planner: Completion, number: int, request: str) -> None:
        """By the planner itself, if it still can."""
        messages = self._messages(_PLANNER, _said(self._best), _asked(request))
        again = await self._call(f"refine_{number}", messages, replace(self._primary, hint=planner.model))
        self.plan.refined = again.content

    async def _call(self, name: str, messages: Sequence[Message], terms: Terms) -> Completion:
        phase, failure = await self._attempt(name, messages, terms)
        self.plan.phases.append(phase)
        if failure is not None:
            raise self._failed(name, failure)
        assert phase.completion is not None
        return phase.completion

    async def _attempt(
        self, name: str, messages: Sequence[Message], terms: Terms, seed: int | None = None
    ) -> tuple[Phase, Failure | None]:
        done = None
        try:
            done = await self._complete(messages, terms, seed)
        except TimeoutError:
            failure = Failure(Kind.TIMEOUT, "it took too long")
        except Failure as raised:
            failure = raised
        else:
            if done.content:
                return Phase(name, done), None
            failure = Failure(Kind.UPSTREAM, f"{done.model} answered nothing")
        return Phase(name, done, failure.message), failure

    async def _complete(self, messages: Sequence[Message], terms: Terms, seed: int | None) -> Completion:
        left = self._until - self._now()
        if left <= 0:
            raise Failure(Kind.TIMEOUT, "no time was left for it: a larger policy.max_latency_ms gives it some")
        extra = {name: value for name, value in self._ask.extra.items() if name not in _NOT_FOR_PLANS}
        ask = replace(self._ask, messages=messages, tools=(), tool_choice=None, response_format=None, extra=extra)
        if seed is not None and ask.seed is None:
            ask = replace(ask, seed=seed)
        async with asyncio.timeout(left + _GRACE):
            return await self._gateway.complete(ask, self._bounded(terms, messages, left), self._payer, self._journal)

    def _bounded(self, terms: Terms, messages: Sequence[Message], left: float) -> Terms:
        """What is left of the time and of the money; the estimate grows with what was added to the conversation."""
        bounded = replace(terms, max_latency_ms=max(1, int(left * 1000)))
        if self._budget is not None:
            bounded = replace(bounded, max_budget=max(1, self._budget - self.plan.estimated))
        if terms.estimated_input_tokens is not None:
            added = sum(len(each["content"]) for each in (messages[0], *messages[1 + len(self._ask.messages) :]))
            bounded = replace(bounded, estimated_input_tokens=terms.estimated_input_tokens + added // 4)
        return bounded

    def _messages(self, system: str, *more: Message) -> Sequence[Message]:
        return [{"role": "system", "content": system}, *self._ask.messages, *more]

    @property
    def _best(self) -> str:
        return self.plan.refined or ""

    @property
    def _rounds(self) -> int:
        return max(1, self._how.iterations)

    def _failed(self, phase: str, failure: Failure) -> Failure:
        """502, but for what is the caller's own affair: money, and what no model was even asked."""
        own = failure.kind is Kind.EXHAUSTED or (not self.plan.done and failure.kind not in _UPSTREAM)
        return Failure(
            failure.kind if own else Kind.UPSTREAM,
            f"phase {phase} failed: {failure.message}",
            code=failure.code if own else None,
            details={
                **failure.details,
                "phase": phase,
                "estimated_cost_usd": self.plan.estimated / NANO,
                "response": self.plan.response(),
                "decision": self.plan.decision(),
            },
            retry_after=failure.retry_after,
            headers=failure.headers,
            mend=failure.mend,
        )


_UPSTREAM = frozenset({Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.INTERNAL})


def _said(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _asked(text: str) -> Message:
    return {"role": "user", "content": text}


def _verdict(text: str, count: int) -> tuple[int, str]:
    """Which answer the judge chose, from 0, and why. A judge that names none leaves the first."""
    told: Mapping[str, Any] = {}
    start, end = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[start : end + 1])
        told = value if isinstance(value, dict) else {}
    except ValueError:
        pass
    choice = told.get("choice")
    if not isinstance(choice, int) or isinstance(choice, bool):
        numbers = [int(each) for each in _NUMBER.findall(str(choice) if choice is not None else text)[:1]]
        choice = numbers[0] if numbers else 0
    if not 1 <= choice <= count:
        return 0, "the judge named no answer: the first one stands"
    return choice - 1, str(told.get("reason") or text).strip()
