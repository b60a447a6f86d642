"""Steps of agents: their state goes in, the next one comes out and is written before anybody is answered.

An instance remembers the agents that it stepped last and needs no read for them: the write says which state it
follows, and a lost race brings what there is now. Steps of one agent that meet in one instance take turns.
"""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar
from weakref import WeakValueDictionary

from quintet.errors import Failure, Kind
from quintet.http.work import offload
from quintet.identity.recent import Recent
from quintet.policy.catalogue import Catalogue
from quintet.policy.model import (
    ANY,
    MOST_SEED,
    Agent,
    Change,
    Choice,
    Handle,
    Lost,
    NamedStep,
    Order,
    Spent,
    Step,
    Taken,
    Wanted,
    fingerprint,
    random_mark,
    unknown,
)
from quintet.policy.observations import batch_size, vector, vectors
from quintet.policy.runtime import Answers, Overflow, Policy
from quintet.store.clock import Clock

_REMEMBERED = 512
_REMEMBERED_SECONDS = 600.0
_PATIENCE = 10.0  # seconds of races lost
_FIRST_PAUSE, _LONGEST_PAUSE = 0.004, 0.1
_AT_ONCE = 64  # rows that a shared server's loop may wait for

P = ParamSpec("P")
T = TypeVar("T")


class AgentStore(Protocol):
    """Raises Lost where a change does not follow what there is."""

    async def read(self, key: str, /) -> Agent | None: ...

    async def read_many(self, keys: Sequence[str], /) -> dict[str, Agent]: ...

    async def write(self, change: Change, /) -> None: ...

    async def write_named(self, change: Change, step: NamedStep, /) -> None:
        """Raises Taken when the agent has taken a step of this name in this life."""
        ...

    async def write_many(self, changes: Sequence[Change], /) -> None:
        """What Lost does not name has happened."""
        ...

    async def replace(self, key: str, agent: Agent, /) -> None:
        """Whatever was there."""
        ...

    async def remove(self, key: str, /) -> None: ...


class Standing(NamedTuple):
    """Where a step begins. `before` is what the store has; None where the agent comes into being with this step."""

    before: Agent | None
    agent: Agent
    policy: Policy


class Stepping:
    def __init__(self, store: AgentStore, catalogue: Catalogue, clock: Clock) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._recent: Recent[str, Agent] = Recent(_REMEMBERED, _REMEMBERED_SECONDS)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def step(
        self, handle: Handle, observation: Any, order: Order, spent: Spent, step_id: str | None = None
    ) -> Step:
        """Raises Failure."""
        seed = _seed(order)
        async with self._turn(handle.key):
            known = self._recent.get(handle.key)
            remembered = known is not None
            if not remembered:
                known = await spent.storing(self._store.read(handle.key))
            patience = _Patience()
            while patience:
                now = self._clock.now()
                try:
                    start = await self._standing(handle, known, order.wanted, now)
                    packed = vector(observation, start.policy.observation)
                    answers = _inferred(start.policy, packed, start.agent.state, seed, spent)
                except Failure:
                    if not remembered:
                        raise
                    # What was remembered may be out of date, and the step right.
                    known, remembered = await spent.storing(self._store.read(handle.key)), False
                    continue
                after = _next(start.agent, answers.states[0], handle, now, seed)
                step = _step(start.policy, after, answers)
                change = Change(handle.key, start.before, after)
                try:
                    if step_id is None:
                        await spent.storing(self._store.write(change))
                    else:
                        named = NamedStep(step_id, fingerprint(packed, order.deterministic, order.seed), step._asdict())
                        await spent.storing(self._store.write_named(change, named))
                except Lost as lost:
                    known, remembered = lost.now[handle.key], False
                    self._recent.forget(handle.key)
                    await patience.pause()
                except Taken as taken:
                    if taken.fingerprint != named.fingerprint:
                        raise Failure(Kind.CONFLICT, f"step_id '{step_id}' was used for another step") from None
                    return Step(**taken.answer)
                else:
                    self._recent.put(handle.key, after)
                    return step
        raise _contended(handle.agent_id)

    async def step_batch(
        self, handles: Sequence[Handle], observations: Sequence[Any], order: Order, spent: Spent
    ) -> list[Choice]:
        """A row for each observation; an agent that stands there twice takes two steps, in order.

        An agent's steps are written together. Agents are written by the hundred: should some of them be contended to
        the end, the failure names those that were not stepped. Raises Failure.
        """
        batch_size(observations)
        seed = _seed(order)
        batch = _Batch(handles, observations)
        chosen: dict[int, Choice] = {}
        async with self._all_turns(batch.rows):
            known: dict[str, Agent | None] = {key: self._recent.get(key) for key in batch.rows}
            remembered = {key for key, agent in known.items() if agent is not None}
            await self._look_up(known, [key for key in known if key not in remembered], spent)
            pending = list(batch.rows)
            patience = _Patience()
            while patience:
                now = self._clock.now()
                try:
                    changes, drafted = await self._draft(batch, pending, known, order, seed, now, spent)
                except Failure:
                    if not remembered:
                        raise
                    await self._look_up(known, list(remembered), spent)
                    remembered.clear()
                    continue
                lost: dict[str, Agent | None] = {}
                try:
                    await spent.storing(self._store.write_many(changes))
                except Lost as race:
                    lost = race.now
                for change in changes:
                    if change.key in lost:
                        self._recent.forget(change.key)
                    else:
                        self._recent.put(change.key, change.after)
                        chosen.update((row, drafted[row]) for row in batch.rows[change.key])
                if not lost:
                    return [chosen[row] for row in range(len(observations))]
                known.update(lost)
                remembered -= lost.keys()
                pending = list(lost)
                await patience.pause()
        left = [batch.handles[key].agent_id for key in pending]
        raise _contended(*left, of=len(batch.rows))

    async def choose(self, observations: Sequence[Any], order: Order, spent: Spent) -> tuple[Policy, Answers]:
        """For nobody's agent: as first steps, of which nothing is kept."""
        count = batch_size(observations)
        seed = _seed(order)
        policy = await self._catalogue.find(order.wanted)
        packed = vectors(observations, policy.observation)
        seeds = None if seed is None else _row_seeds(seed, range(count))
        began = time.perf_counter()
        try:
            answers = await _in_its_place(count, policy.infer_stateless, packed, seeds)
        except Overflow as overflow:
            raise _too_large(f"observations.{overflow.row}") from None
        spent.graph += time.perf_counter() - began
        return policy, answers

    async def reset(self, handle: Handle, wanted: Wanted, spent: Spent) -> Agent:
        policy = await self._catalogue.find(wanted)
        agent = _newborn(policy, handle, self._clock.now())
        async with self._turn(handle.key):
            await spent.storing(self._store.replace(handle.key, agent))
            self._recent.put(handle.key, agent)
        return agent

    async def fork(self, source: Handle, target: Handle, spent: Spent) -> Agent:
        """A copy with a life of its own. Raises Failure when there is such an agent already."""
        now = self._clock.now()
        start = await self._standing(source, await spent.storing(self._store.read(source.key)), ANY, now)
        copy = start.agent._replace(life=_mark(), mark=_mark(), born_at=now, at=now, expires_at=now + target.keep)
        async with self._turn(target.key):
            try:
                await spent.storing(self._store.write(Change(target.key, None, copy)))
            except Lost:
                raise Failure(
                    Kind.CONFLICT, f"Agent '{target.agent_id}' exists already", details={"field": "new_agent_id"}
                ) from None
            self._recent.put(target.key, copy)
        return copy

    async def look(self, handle: Handle, spent: Spent) -> tuple[Agent, float]:
        """The agent as it is, and its memory's pressure. Raises Failure."""
        known = await spent.storing(self._store.read(handle.key))
        start = await self._standing(handle, known, ANY, self._clock.now())
        return start.agent, start.policy.pressure(start.agent.state)

    async def forget(self, handle: Handle) -> None:
        self._recent.forget(handle.key)
        await self._store.remove(handle.key)

    # What a step needs

    async def _standing(self, handle: Handle, known: Agent | None, wanted: Wanted, now: datetime) -> Standing:
        if known is None or known.expires_at <= now:
            if not handle.from_start:
                raise unknown(handle.agent_id)
            policy = await self._catalogue.find(wanted)
            return Standing(None, _newborn(policy, handle, now), policy)
        if not wanted.fits(known.ref):
            raise Failure(
                Kind.REJECTED,
                f"Agent '{handle.agent_id}' runs the policy {known.ref}. Call /reset to give it another.",
                details={"field": "policy"},
            )
        policy = await self._catalogue.load(known.ref)
        if not policy.digest.startswith(known.digest):
            raise Failure(
                Kind.REJECTED, f"The policy {known.ref} of agent '{handle.agent_id}' was replaced. Call /reset first."
            )
        return Standing(known, known, policy)

    async def _draft(
        self,
        batch: "_Batch",
        pending: Sequence[str],
        known: dict[str, Agent | None],
        order: Order,
        seed: int | None,
        now: datetime,
        spent: Spent,
    ) -> tuple[list[Change], dict[int, Choice]]:
        """What the agents of these keys would do: a graph call for their first steps, one for the second ones, ..."""
        starts = {key: await self._standing(batch.handles[key], known[key], order.wanted, now) for key in pending}
        policy = _the_one(start.policy for start in starts.values())
        packed = batch.packed(policy.observation)
        size = 4 * policy.observation
        agents = {key: start.agent for key, start in starts.items()}
        chosen: dict[int, Choice] = {}
        for depth in range(max(len(batch.rows[key]) for key in pending)):
            keys = [key for key in pending if depth < len(batch.rows[key])]
            rows = [batch.rows[key][depth] for key in keys]
            seeds = None if seed is None else _row_seeds(seed, rows)
            answers = await self._infer_rows(
                policy,
                packed
                if len(rows) == len(batch)
                else b"".join([packed[size * row : size * (row + 1)] for row in rows]),
                [agents[key].state for key in keys],
                seeds,
                rows,
                spent,
            )
            for place, (key, row) in enumerate(zip(keys, rows, strict=True)):
                drawn = None if seeds is None else seeds[place]
                agents[key] = _next(agents[key], answers.states[place], batch.handles[key], now, drawn)
                chosen[row] = Choice(answers.actions[place], answers.values[place], answers.log_probs[place])
        return [Change(key, starts[key].before, agents[key]) for key in pending], chosen

    async def _infer_rows(
        self,
        policy: Policy,
        packed: bytes,
        states: Sequence[bytes],
        seeds: Sequence[int] | None,
        rows: Sequence[int],
        spent: Spent,
    ) -> Answers:
        began = time.perf_counter()
        try:
            return await _in_its_place(len(rows), policy.infer, packed, states, seeds)
        except Overflow as overflow:
            raise _too_large(f"observations.{rows[overflow.row]}") from None
        finally:
            spent.graph += time.perf_counter() - began

    async def _look_up(self, known: dict[str, Agent | None], keys: list[str], spent: Spent) -> None:
        if keys:
            found = await spent.storing(self._store.read_many(keys))
            known.update((key, found.get(key)) for key in keys)

    def _turn(self, key: str) -> asyncio.Lock:
        return self._turns.setdefault(key, asyncio.Lock())

    @asynccontextmanager
    async def _all_turns(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Always in one order: two batches that share agents do not wait for each other."""
        async with AsyncExitStack() as held:
            for key in sorted(keys):
                await held.enter_async_context(self._turn(key))
            yield


class _Patience:
    """With races lost, until its end; the pauses differ, so that who lost one does not lose the next as well."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _PATIENCE
        self._pause = _FIRST_PAUSE

    def __bool__(self) -> bool:
        return time.monotonic() < self._until

    async def pause(self) -> None:
        await asyncio.sleep(random.uniform(0, self._pause))  # noqa: S311 - jitter, not a secret
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


class _Batch:
    def __init__(self, handles: Sequence[Handle], observations: Sequence[Any]) -> None:
        self.handles = {handle.key: handle for handle in handles}
        self.rows: dict[str, list[int]] = {}  # the places of each agent's steps, in order
        for row, handle in enumerate(handles):
            self.rows.setdefault(handle.key, []).append(row)
        self._observations = observations
        self._packed: tuple[int, bytes] | None = None

    def __len__(self) -> int:
        return len(self._observations)

    def packed(self, length: int) -> bytes:
        if self._packed is None or self._packed[0] != length:
            self._packed = (length, vectors(self._observations, length))
        return self._packed[1]


def _inferred(policy: Policy, packed: bytes, state: bytes, seed: int | None, spent: Spent) -> Answers:
    began = time.perf_counter()
    try:
        return policy.infer(packed, [state], None if seed is None else [seed])
    except Overflow:
        raise _too_large("observation") from None
    finally:
        spent.graph += time.perf_counter() - began


async def _in_its_place(rows: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return work(*args, **kwargs) if rows <= _AT_ONCE else await offload(work, *args, **kwargs)


def _the_one(policies: Iterable[Policy]) -> Policy:
    found = {policy.ref: policy for policy in policies}
    if len(found) > 1:
        names = ", ".join(sorted(map(str, found)))
        raise Failure(Kind.REJECTED, f"The agents of one batch must run one policy, these run {names}")
    return next(iter(found.values()))


def _newborn(policy: Policy, handle: Handle, now: datetime) -> Agent:
    return Agent(policy.ref, policy.digest, _mark(), 0, policy.first, _mark(), now, now, now + handle.keep)


def _next(agent: Agent, state: bytes, handle: Handle, now: datetime, seed: int | None) -> Agent:
    return Agent(
        ref=agent.ref,
        digest=agent.digest,
        life=agent.life,
        version=agent.version + 1,
        state=state,
        mark=_mark(),
        born_at=agent.born_at,
        at=now,
        expires_at=now + handle.keep,
        seed=seed,
    )


def _step(policy: Policy, after: Agent, answers: Answers) -> Step:
    return Step(
        action=answers.actions[0],
        value=answers.values[0],
        log_prob=answers.log_probs[0],
        pressure=policy.pressure(after.state),
        version=after.version,
        seed=after.seed,
    )


def _seed(order: Order) -> int | None:
    if order.deterministic:
        return None
    return secrets.randbelow(MOST_SEED + 1) if order.seed is None else order.seed


def _row_seeds(seed: int, rows: Iterable[int]) -> list[int]:
    return [(seed + row) % (MOST_SEED + 1) for row in rows]


def _mark() -> str:
    return random_mark(secrets.token_bytes(9))


def _too_large(field: str) -> Failure:
    return Failure(Kind.REJECTED, f"{field}: its numbers are too large for the policy")


def _contended(*agent_ids: str, of: int = 1) -> Failure:
    names = ", ".join(f"'{agent_id}'" for agent_id in agent_ids[:10]) + (", ..." if len(agent_ids) > 10 else "")
    done = f"{of - len(agent_ids)} of {of} agents were stepped; " if of > 1 else ""
    return Failure(
        Kind.CONFLICT, f"{done}too many others step {names} at the same time: not stepped, try again", retry_after=1
    )
