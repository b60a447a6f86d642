"""What every caller shares, leased: an instance takes a slice of such a budget and spends it in memory.

A shared budget is parted into shards (`Budget.shards`), purses as all others are; a slice is an entry in one of them,
taken by one conditional write. So spent + leased <= cap at any moment, and the shard's item is written once in many
calls. A lease's calls tell in their records what has been used of it so far, a sum that only grows: the records may
come twice, late and in any order, and the purse learns within a second what was spent. A lease that is used up, or
idle, is closed by the instance that holds it, at what it knows was used.

The lease of an instance that died is closed when its time has run out, at what the records prove: what its last record
says was used, and the bounds of calls whose accounts say that they were begun and never recorded. It runs out long
after the last call that may draw on it has been given up, so nothing can turn up later.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.model import Budget, Place
from quintet.gateway.ledger.purse import Change, Crowded, Purse, Short, Want, as_of, plan
from quintet.gateway.ledger.store.purses import Unmet
from quintet.store.clock import Clock, SystemClock, millis

_DRAWN_FOR = timedelta(seconds=30)  # how long calls may begin on a lease
_BEYOND = timedelta(minutes=10)  # the longest that giving up a call may take after its time has run out
_LONGEST_CALL = timedelta(minutes=16)
_AIM_SECONDS = 10.0  # a slice shall last as long
_FIRST = 8  # calls like the first one
_SHARE = 8  # a slice is at most this part of what is free, unless one call needs more
_IDLE = 5.0
_ATTEMPTS = 16

Drawn = list[Any]
"""[the shard's id, the lease's, the amount], and once it is settled [.., .., what was charged, used so far]."""


class LeasedPurses(Protocol):
    """`store.purses`."""

    async def write(self, place: Place, change: Change, now: datetime, /) -> Purse: ...

    async def read(self, places: Sequence[Place], /) -> dict[Place, Purse]: ...


class NotEnough(Exception):  # noqa: N818 - an outcome
    """A shared budget cannot bear the call."""

    def __init__(self, budget: Budget, number: int, spent: int, affordable: int) -> None:
        super().__init__(f"only {affordable} left of {budget.name}")
        self.budget, self.number, self.spent, self.affordable = budget, number, spent, affordable


@dataclass(slots=True)
class _Lease:
    id: str
    place: Place
    window: int
    granted: int
    taken_at: datetime
    expires: datetime
    used: int = 0
    open: dict[str, int] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return self.granted - self.used - sum(self.open.values())

    def serves(self, number: int, now: datetime, expires: datetime) -> bool:
        lasts = now < self.taken_at + _DRAWN_FOR and expires + _BEYOND <= self.expires
        return lasts and number <= self.window


@dataclass(slots=True)
class _Held:
    """One budget's leases, and how fast they go."""

    leases: list[_Lease] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: dict[Place, Purse] = field(default_factory=dict)
    slice: int = 0
    last_draw: datetime | None = None


class Leases:
    """One per process."""

    def __init__(self, purses: LeasedPurses, clock: Clock | None = None) -> None:
        self._purses = purses
        self._clock = clock or SystemClock()
        self._held: dict[str, _Held] = {}
        self._by_id: dict[str, _Lease] = {}
        self._tidying: asyncio.Task[None] | None = None
        self._luck = secrets.randbelow(1 << 30)  # which shard this instance begins with

    async def draw(
        self, budgets: Sequence[Budget], call_id: str, bound: int, now: datetime, expires: datetime
    ) -> list[Drawn]:
        """Raises NotEnough, having taken nothing."""
        drawn: list[Drawn] = []
        try:
            for budget in budgets:
                drawn += await self._draw(budget, call_id, bound, now, expires)
        except BaseException:
            self.settle(drawn, call_id, 0)
            raise
        return drawn

    def settle(self, drawn: Sequence[Drawn], call_id: str, cost: int) -> list[Drawn]:
        """What each lease bears of the cost, and what has been used of it up to now."""
        told: list[Drawn] = []
        left: dict[str, int] = {}
        for shard, name, amount, *_ in drawn:
            budget = shard.rpartition("#")[0]
            charged = min(left.get(budget, cost), amount)
            left[budget] = left.get(budget, cost) - charged
            lease = self._by_id.get(name)
            if lease is not None:
                if lease.open.pop(call_id, None) is not None:
                    lease.used += charged
                told.append([shard, name, charged, lease.used])
        return told

    async def _draw(self, budget: Budget, call_id: str, bound: int, now: datetime, expires: datetime) -> list[Drawn]:
        held = self._held.setdefault(f"{budget.id}#{budget.since}", _Held())
        number = budget.window.number(now)
        drawn = _pieces(held, call_id, bound, number, now, expires)
        if drawn is None:
            async with held.lock:
                for _ in range(_ATTEMPTS):
                    drawn = _pieces(held, call_id, bound, number, now, expires)
                    if drawn is not None:
                        break
                    missing = bound - sum(each.free for each in held.leases if each.serves(number, now, expires))
                    if not await self._fill(budget, held, missing, now, expires):
                        return []  # the budget is gone
                else:
                    raise Failure(Kind.UNAVAILABLE, "Too much at once on one budget: try again", retry_after=1)
        held.last_draw = now
        self._tidy()
        return drawn

    async def _fill(self, budget: Budget, held: _Held, missing: int, now: datetime, expires: datetime) -> bool:
        """Takes a lease, or several where no shard has enough."""
        held.slice = _next_slice(held, missing, now)
        places = budget.places
        mine = places[self._luck % len(places)]
        if mine not in held.seen:
            held.seen |= await self._purses.read([mine])
        for sure in (False, True):
            if sure:
                held.seen = await self._purses.read(places)
                if not held.seen:
                    return False
            found = _offers(budget, held.seen, now)
            if not sure and found.get(mine, 0) >= missing:
                if await self._lease(budget, held, mine, missing, now, expires):
                    return True
                continue
            if sure:
                total = sum(found.values())
                if total < missing:
                    raise self._not_enough(budget, held, total, now)
                for place in sorted(found, key=lambda each: -found[each]):
                    piece = min(missing, found[place])
                    if piece > 0 and await self._lease(budget, held, place, piece, now, expires):
                        missing -= piece
                    if missing <= 0:
                        return True
        return True  # look again: others took in between

    async def _lease(
        self, budget: Budget, held: _Held, place: Place, need: int, now: datetime, expires: datetime
    ) -> bool:
        """Whether at least `need` was taken there. Leases of that shard that are used up go in the same write."""
        name = f"l{secrets.token_hex(6)}"
        until = max(now + _DRAWN_FOR + _LONGEST_CALL, expires) + _BEYOND
        for _ in range(_ATTEMPTS):
            purse = held.seen.get(place)
            if purse is None:
                return False
            pot = purse.pots.get(budget.code)
            if pot is None:
                return False
            if name in (purse.open or {}):  # our own first try, whose answer was lost
                amount = (purse.open or {})[name].bound
                break
            free = as_of(pot, budget.window.number(now)).free
            amount = max(need, min(held.slice, free // _SHARE))
            spent = {each.id: each.used for each in held.leases if each.place == place and _over(each, now, need)}
            try:
                change = plan(purse, now, want=Want(name, amount, millis(until), lease=True), costs=spent)
                held.seen[place] = purse = await self._purses.write(place, change, now)
                self._forget(held, spent)
                break
            except Unmet as unmet:
                if unmet.purse is None:
                    del held.seen[place]
                    return False
                held.seen[place] = unmet.purse
            except (Short, Crowded):
                return False
        else:
            return False
        entry = (purse.open or {})[name]
        lease = _Lease(name, place, entry.pots[budget.code] >> 16, amount, now, until)
        held.leases.append(lease)
        self._by_id[name] = lease
        return True

    def _not_enough(self, budget: Budget, held: _Held, total: int, now: datetime) -> NotEnough:
        number = budget.window.number(now)
        own = sum(each.free for each in held.leases if each.window == number)
        spent = sum(as_of(purse.pots[budget.code], number).spent for purse in held.seen.values())
        return NotEnough(budget, number, spent, max(0, total + own))

    def _forget(self, held: _Held, names: Sequence[str] | dict[str, int]) -> None:
        held.leases = [each for each in held.leases if each.id not in names]
        for name in names:
            self._by_id.pop(name, None)

    def _tidy(self) -> None:
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.get_running_loop().create_task(self._return_idle())

    async def _return_idle(self) -> None:
        """An instance that rests gives back what it holds; where the process is frozen, once it thaws."""
        while self._by_id:
            await asyncio.sleep(_IDLE)
            now = self._clock.now()
            for held in list(self._held.values()):
                idle = held.last_draw is None or now - held.last_draw >= timedelta(seconds=_IDLE)
                over = [each for each in held.leases if not each.open and (idle or now >= each.taken_at + _DRAWN_FOR)]
                for place in {each.place for each in over}:
                    await self.give_back(held, place, [each for each in over if each.place == place])

    async def close(self) -> None:
        """Gives back every lease on which no call is under way."""
        if self._tidying is not None:
            self._tidying.cancel()
        for held in self._held.values():
            for place in {each.place for each in held.leases}:
                await self.give_back(
                    held, place, [each for each in held.leases if each.place == place and not each.open]
                )

    async def give_back(self, held: _Held, place: Place, leases: Sequence[_Lease]) -> None:
        self._forget(held, [each.id for each in leases])  # nobody draws on them meanwhile
        purse = held.seen.get(place, Purse())
        for _ in range(_ATTEMPTS):
            now = self._clock.now()
            change = plan(purse, now, costs={each.id: each.used for each in leases})
            if change.empty:
                return
            try:
                held.seen[place] = await self._purses.write(place, change, now)
            except Unmet as unmet:
                purse = unmet.purse or Purse()
            else:
                return


def _pieces(held: _Held, call_id: str, bound: int, number: int, now: datetime, expires: datetime) -> list[Drawn] | None:
    """Of one lease if one has enough, else of several; None if all together have not."""
    able = [each for each in held.leases if each.free > 0 and each.serves(number, now, expires)]
    if sum(each.free for each in able) < bound:
        return None
    able.sort(key=lambda each: (each.free < bound, each.taken_at, each.id))
    drawn: list[Drawn] = []
    for lease in able:
        amount = min(bound, lease.free)
        lease.open[call_id] = lease.open.get(call_id, 0) + amount
        drawn.append([lease.place.id, lease.id, amount])
        bound -= amount
        if bound == 0:
            break
    return drawn


def _offers(budget: Budget, purses: dict[Place, Purse], now: datetime) -> dict[Place, int]:
    number = budget.window.number(now)
    return {
        place: max(0, as_of(purse.pots[budget.code], number).free)
        for place, purse in purses.items()
        if budget.code in purse.pots
    }


def _next_slice(held: _Held, missing: int, now: datetime) -> int:
    """So much that it lasts for the time aimed at, at the pace of the last one."""
    last = max(held.leases, key=lambda each: each.taken_at, default=None)
    if last is None:
        return missing * _FIRST
    lasted = max((now - last.taken_at).total_seconds(), 0.1)
    return max(missing, min(int((last.granted - max(0, last.free)) * _AIM_SECONDS / lasted), 16 * last.granted))


def _over(lease: _Lease, now: datetime, need: int) -> bool:
    return not lease.open and (lease.free < need or now >= lease.taken_at + _DRAWN_FOR)
