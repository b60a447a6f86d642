"""The ledger: reserves a call's worst case in every purse that bounds it, and settles what it cost.

The caller's account comes first: one conditional write confirms the caller, takes the money of its budgets and notes
the call. What all callers share is leased to the instance (`leases`), so it costs a write in many calls. The budgets of
a task, of a session, and of a principal who comes by a key, are one write each, in a fixed order; what was taken is
given back when a later one refuses.

While there is money that write rests on nothing that other calls change: many of one key go side by side. Where it is
short, one at a time of an instance looks, and gives back what the instance's earlier calls did not need, which their
records have not told yet; that is the only one that says no.

A call's record closes its entries (`settling`): nothing is closed before the record is durable, so that the ledger and
the request log tell the same sum whoever dies in between. An entry whose time has run out is closed at what it holds,
by a record that says so.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.definitions import Definitions
from quintet.gateway.ledger.leases import Leases, NotEnough
from quintet.gateway.ledger.model import Budget, Place, Reservation, Scope, Window, home_of
from quintet.gateway.ledger.purse import (
    MOST_AT_ONCE,
    MOST_OPEN,
    UNSEEN,
    Change,
    Crowded,
    Pot,
    Purse,
    Short,
    Want,
    applied,
    plan,
)
from quintet.gateway.ledger.refusing import crowded, exhausted, turned_out
from quintet.gateway.ledger.store.purses import Unmet
from quintet.gateway.model import Payer
from quintet.identity.recent import Recent
from quintet.identity.store.registry import Stale
from quintet.store.clock import Clock, SystemClock, millis

_ATTEMPTS = 16
_REMEMBERED = 4096  # purses whose last known state guides the next write
_REMEMBER_SECONDS = 300.0
_SOON = timedelta(milliseconds=500)  # later a call's record has most likely closed its entry
_GRACE = timedelta(seconds=60)  # beyond a call's own time: for its record to be written and consumed


class Purses(Protocol):
    """`store.purses`. Writes raise Unmet."""

    async def note(self, place: Place, stamp: int | None, rev: int | None, now: datetime, /) -> None: ...

    async def write(
        self, place: Place, change: Change, now: datetime, /, *, caller: bool = False, rev: int | None = None
    ) -> None: ...

    async def read(self, places: Sequence[Place], /) -> dict[Place, Purse]: ...


GiveUp = Callable[[Place, Purse, datetime], Awaitable[Purse]]
"""Closes the entries of a purse that have expired; answers the purse as it is then."""

Tell = Callable[[Budget, int, Failure, datetime], Awaitable[None]]
"""Says that a budget is exhausted in a window: once, however often it is called."""


@dataclass(slots=True)
class _Memory:
    """What this instance believes of a purse.

    `settled` are its calls there that need no more than what they cost, as long as their records may be on the way;
    `due` those of them that still stand open in what is believed. Who holds the `turn` looks, and gives back.
    """

    purse: Purse = UNSEEN
    settled: dict[str, int] = field(default_factory=dict)
    due: deque[tuple[str, int, datetime]] = field(default_factory=deque)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def settle(self, name: str, cost: int, now: datetime) -> None:
        self.settled[name] = cost
        self.due.append((name, cost, now))
        if len(self.settled) > MOST_OPEN:
            del self.settled[next(iter(self.settled))]

    def believed(self, now: datetime) -> Purse:
        """As it is if nobody else has written, and records have come when they should."""
        told = {}
        while self.due and self.due[0][2] <= now - _SOON:
            name, cost, _ = self.due.popleft()
            told[name] = cost
        if told:
            self.purse = applied(self.purse, plan(self.purse, now, costs=told))
        return self.purse

    def look(self, purse: Purse) -> None:
        """It was just seen like this."""
        entries = purse.open or {}
        self.purse = purse
        self.settled = {name: cost for name, cost in self.settled.items() if name in entries}

    def excess(self) -> dict[str, int]:
        """The calls that hold more than they need, those that hold most of it first."""
        entries = self.purse.open or {}
        more = {
            name: entries[name].bound - cost
            for name, cost in self.settled.items()
            if name in entries and cost < entries[name].bound and not entries[name].given_up
        }
        return {name: self.settled[name] for name in sorted(more, key=lambda name: -more[name])[:MOST_AT_ONCE]}


class Keeper:
    """One per process. Exactness needs nothing of what it remembers: conditions hold, or it looks again."""

    def __init__(
        self,
        purses: Purses,
        definitions: Definitions,
        leases: Leases,
        give_up: GiveUp,
        tell: Tell,
        *,
        clock: Clock | None = None,
        grace: timedelta = _GRACE,
    ) -> None:
        self._purses = purses
        self._definitions = definitions
        self._leases = leases
        self._give_up = give_up
        self._tell = tell
        self._clock = clock or SystemClock()
        self._grace = grace
        self._memories: Recent[Place, _Memory] = Recent(_REMEMBERED, _REMEMBER_SECONDS)

    async def reserve(
        self, payer: Payer, call_id: str, bound: int, now: datetime, seconds: float, /, *, provider: str, model: str
    ) -> Reservation:
        expires = now + timedelta(seconds=seconds) + self._grace
        account = Place("accounts", payer.account)
        if bound <= 0:
            await self._take(account, None, now, payer=payer)
            return Reservation(call_id, bound, expires)
        shared = await self._definitions.shared(provider, model)
        budgets = {place: budget for budget in await self._definitions.apart(payer) for place in budget.places}
        try:
            draws = await self._leases.draw(shared, call_id, bound, now, expires)
        except NotEnough as short:
            failure = exhausted(short.budget, short.number, short.spent, short.affordable)
            await self._tell(short.budget, short.number, failure, now)
            raise failure from None
        told: dict[str, Any] = {
            "reservation": call_id,
            "account": payer.account,
            "bound": bound,
            "at": millis(now),
            "expires": millis(expires),
        }
        if budgets:
            told["purses"] = [[place.table, place.id] for place in budgets]
        if draws:
            told["leases"] = draws
        want = Want(call_id, bound, millis(expires), facts=_facts(payer, provider, model, told))
        taken: list[Place] = []
        try:
            if await self._take(account, want, now, payer=payer, always=bool(draws or budgets)):
                taken.append(account)
            for place, budget in budgets.items():
                if await self._take(place, want, now, budget=budget, always=True):
                    taken.append(place)
        except BaseException:
            self._leases.settle(draws, call_id, 0)
            await asyncio.shield(self._untake(call_id, taken))
            raise
        return Reservation(call_id, bound, expires, told if taken else {})

    async def settle(self, reservation: Reservation, cost: int, /) -> None:
        told = reservation.settle
        if not told or "cost" in told:
            return
        cost = told["cost"] = max(0, min(cost, reservation.bound))
        if "leases" in told:
            late = self._clock.now() >= reservation.expires_at
            told["leases"] = self._leases.settle(told["leases"], reservation.call_id, cost, late=late)
        for place in _places(told):
            self._memory(place).settle(reservation.call_id, cost, self._clock.now())

    async def release(self, reservation: Reservation, /) -> None:
        told = reservation.settle
        if not told or "cost" in told:
            return
        told["cost"] = 0
        if "leases" in told:
            told["leases"] = self._leases.settle(told["leases"], reservation.call_id, 0)
        await asyncio.shield(self._untake(reservation.call_id, _places(told)))

    async def _take(
        self,
        place: Place,
        want: Want | None,
        now: datetime,
        *,
        payer: Payer | None = None,
        budget: Budget | None = None,
        always: bool = False,
    ) -> bool:
        """Whether there is an entry now. `payer` says that the purse is the payer's account."""
        memory = self._memory(place)
        rev, seen = payer.rev if payer else None, None
        for _ in range(_ATTEMPTS):
            purse = memory.believed(now) if seen is None else seen
            wanted = want if always or purse.pots else None
            try:
                if wanted is None and not purse.pots:
                    await self._purses.note(place, purse.stamp, rev, now)
                    return False
                if wanted is not None and purse.expired(now):
                    return await self._take_in_turn(place, memory, wanted, now, payer, rev, budget)
                change = plan(purse, now, want=wanted)
                if change.empty and payer is None:
                    return True
                await self._purses.write(place, change, now, caller=payer is not None, rev=rev)
                memory.purse = applied(memory.purse, change)
            except Unmet as unmet:
                if payer is not None:
                    rev = await _confirmed(payer, rev, unmet)
                elif unmet.purse is None:
                    self._definitions.forget()  # the budget is gone
                    return False
                memory.purse = seen = unmet.purse or Purse()
            except (Short, Crowded):
                assert wanted is not None
                return await self._take_in_turn(place, memory, wanted, now, payer, rev, budget)
            else:
                return wanted is not None
        raise _busy()

    async def _take_in_turn(
        self,
        place: Place,
        memory: _Memory,
        want: Want,
        now: datetime,
        payer: Payer | None,
        rev: int | None,
        budget: Budget | None,
    ) -> bool:
        """Looks before it takes: money is short, or something has expired.

        One at a time, so that nobody is refused while another one gives back what would have been enough.
        """
        async with memory.turn:
            for _ in range(_ATTEMPTS):
                purse = await self._seen(place)
                if purse.expired(now):
                    purse = await self._give_up(place, purse, now)
                memory.look(purse)
                excess = memory.excess()
                try:
                    change = _least(purse, now, want, excess)
                    if change is None:  # more than one write can give back
                        await self._purses.write(place, plan(purse, now, shrunk=excess), now)
                        continue
                    if change.empty and payer is None:
                        return True
                    await self._purses.write(place, change, now, caller=payer is not None, rev=rev)
                except Unmet as unmet:
                    if payer is not None:
                        rev = await _confirmed(payer, rev, unmet)
                    elif unmet.purse is None:
                        self._definitions.forget()
                        return False
                except (Short, Crowded) as refused:
                    await self._refuse(place, refused, payer, budget, now)
                else:
                    memory.purse = applied(memory.purse, change)
                    return True
        raise _busy()

    async def _refuse(
        self, place: Place, refused: Short | Crowded, payer: Payer | None, budget: Budget | None, now: datetime
    ) -> None:
        if isinstance(refused, Crowded):
            raise crowded()
        budget = budget or _of_account(place, refused, payer)
        pot: Pot = refused.pot
        failure = exhausted(budget, pot.window, pot.spent, refused.affordable)
        await self._tell(budget, pot.window, failure, now)
        raise failure

    async def _seen(self, place: Place) -> Purse:
        return (await self._purses.read([place])).get(place, Purse())

    async def _untake(self, call_id: str, places: Sequence[Place]) -> None:
        """Gives all of it back."""
        for place in places:
            memory, seen = self._memory(place), False
            for _ in range(_ATTEMPTS):
                now = self._clock.now()
                change = plan(memory.purse, now, costs={call_id: 0})
                if change.empty:
                    if seen:
                        break
                    memory.purse, seen = await self._seen(place), True  # others may have told it older news
                    continue
                try:
                    await self._purses.write(place, change, now)
                    memory.purse = applied(memory.purse, change)
                except Unmet as unmet:
                    memory.purse, seen = unmet.purse or Purse(), True
                else:
                    break

    def _memory(self, place: Place) -> _Memory:
        memory = self._memories.get(place)
        if memory is None:
            memory = _Memory()
            self._memories.put(place, memory)
        return memory


def _least(purse: Purse, now: datetime, want: Want, excess: Mapping[str, int]) -> Change | None:
    """What takes the money and gives back no more than it must: None if all that it may is too little, but not all.

    Raises Short and Crowded.
    """
    try:
        return plan(purse, now, want=want)
    except Short:
        if not excess:
            raise
    try:
        return plan(purse, now, want=want, shrunk=excess)
    except Short:
        if len(excess) < MOST_AT_ONCE:
            raise
        return None


def _busy() -> Failure:
    return Failure(Kind.UNAVAILABLE, "Too much at once on one budget: try again", retry_after=1)


def _places(told: Mapping[str, Any]) -> list[Place]:
    return [Place("accounts", told["account"]), *(Place(*each) for each in told.get("purses", ()))]


def _facts(payer: Payer, provider: str, model: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of the call would say, should its process die: as little as will do, every write bears it."""
    facts = {
        "v": provider,
        "m": model,
        "q": payer.principal,
        "k": payer.key_id,
        "t": payer.task,
        "n": payer.session,
        "o": told.get("purses"),
        "l": told.get("leases"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _of_account(place: Place, short: Short, payer: Payer | None) -> Budget:
    """The budget behind a pot, from where it lies and what it is called there."""
    scope = Scope.KEY if short.code[0] == "k" else Scope.PRINCIPAL
    window = next(window for window in Window if window[0] == short.code[1])
    subject = place.id.partition("#")[2]
    if scope is Scope.PRINCIPAL and payer is not None and home_of(payer.principal) == place:
        subject = payer.principal
    return Budget(scope, subject, window, short.pot.cap, since=0)


async def _confirmed(payer: Payer, rev: int | None, unmet: Unmet) -> int | None:
    """The revision to go on with. Raises what to tell a caller who was turned out."""
    try:
        Stale.check(unmet.item, rev)
    except Stale as stale:
        if payer.confirm is None or (stale.closed and not unmet.item):
            raise turned_out() from None
        return await payer.confirm()
    return rev
