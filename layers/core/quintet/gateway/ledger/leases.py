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
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.model import Budget, Place
from quintet.gateway.ledger.purse import MOST_AT_ONCE, Change, Crowded, Entry, Purse, Short, Want, applied, as_of, plan
from quintet.gateway.ledger.store.purses import Unmet
from quintet.store.clock import Clock, SystemClock, millis

_AIM_SECONDS = 10.0  # a slice shall last as long
_FIRST = 8  # calls like the first one
_SHARE = 8  # a slice is at most this part of what is free, and of many instances each takes a smaller one
_PIECES = 8  # shards that one call may draw on: crumbs of many are not worth their writes
_IDLE = 5.0
_LOOK_AGAIN = 1 / 12  # seconds a shard: looking into all of them is not for every refusal
_DRY_SECONDS = (
    2.0  # the most that a budget of few shards is taken for dry without a look; of many, as long as they take
)
_TRIES = 4  # instances that try for what one of them can have
_SPREAD = 0.25  # seconds over which instances look into many shards
_PAUSE = 0.04  # seconds, twice as long with every turn: somebody else was quicker
_ATTEMPTS = 4
_TURNS = 4

Drawn = list[Any]
"""[the shard's id, the lease's, the amount], and once it is settled [.., .., what was charged, used so far]."""


@dataclass(frozen=True, slots=True)
class Term:
    """Calls begin on a lease while `drawn`; `call` is the longest that one takes, `beyond` that giving it up takes."""

    drawn: timedelta = timedelta(seconds=30)
    call: timedelta = timedelta(minutes=16)
    beyond: timedelta = timedelta(minutes=10)

    def end(self, now: datetime, expires: datetime) -> datetime:
        return max(now + self.drawn + self.call, expires) + self.beyond


class LeasedPurses(Protocol):
    """`store.purses`."""

    async def write(self, place: Place, change: Change, now: datetime, /) -> None: ...

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
    drawn_until: datetime
    last_expiry: datetime  # of calls that may draw on it
    used: int = 0
    open: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)  # costs of calls that took longer than they may

    def cost(self, purse: Purse) -> int:
        """What it is closed at: a late call counts once, at its bound if it was given up already."""
        entry = (purse.open or {}).get(self.id)
        lost = entry.lost if entry else {}
        return self.used + sum({**self.late, **lost}.values())

    @property
    def free(self) -> int:
        return self.granted - self.used - sum(self.open.values()) - sum(self.late.values())

    def serves(self, number: int, now: datetime, expires: datetime) -> bool:
        return now < self.drawn_until and expires <= self.last_expiry and number <= self.window


@dataclass(slots=True)
class _Held:
    """One budget's leases, and how fast they go."""

    leases: list[_Lease] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: dict[Place, Purse] = field(default_factory=dict)
    slice: int = 0
    last_draw: datetime | None = None
    dry: tuple[datetime, int, int] | None = (
        None  # until when nobody need look again for more than this, under which cap
    )
    dry_looks: int = 0  # one after the other

    def known_dry(self, budget: Budget, missing: int, now: datetime) -> int | None:
        """What there was of it, where that is too little and nobody need look again yet."""
        if self.dry is None or now >= self.dry[0] or budget.cap != self.dry[2] or missing <= self.dry[1]:
            return None
        return self.dry[1]

    def ran_dry(self, budget: Budget, total: int, now: datetime) -> None:
        """Every look that finds it dry makes the next one later, up to a bound, and no two instances look at once."""
        first = (budget.shards - 1) * _LOOK_AGAIN
        wait = min(max(first, _LOOK_AGAIN * (2**self.dry_looks - 1)), max(first, _DRY_SECONDS))
        self.dry = (now + timedelta(seconds=wait * random.uniform(0.5, 1)), total, budget.cap)  # noqa: S311 - jitter
        self.dry_looks = min(self.dry_looks + 1, 8)


class Leases:
    """One per process."""

    def __init__(self, purses: LeasedPurses, clock: Clock | None = None, term: Term | None = None) -> None:
        self._purses = purses
        self._clock = clock or SystemClock()
        self._term = term or Term()
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

    def settle(self, drawn: Sequence[Drawn], call_id: str, cost: int, *, late: bool = False) -> list[Drawn]:
        """What each lease bears of the cost, and what has been used of it up to now."""
        told: list[Drawn] = []
        left: dict[str, int] = {}
        for shard, name, amount, *_ in drawn:
            budget = shard.rpartition("#")[0]
            charged = min(left.get(budget, cost), amount)
            left[budget] = left.get(budget, cost) - charged
            lease = self._by_id.get(name)
            if lease is not None:
                held = lease.open.pop(call_id, None)
                if held is not None and late:
                    lease.late[call_id] = charged
                elif held is not None:
                    lease.used += charged
                told.append([shard, name, charged, lease.used])
        return told

    async def _draw(self, budget: Budget, call_id: str, bound: int, now: datetime, expires: datetime) -> list[Drawn]:
        held = self._held.setdefault(f"{budget.id}#{budget.since}", _Held())
        number = budget.window.number(now)
        drawn = _pieces(held, call_id, bound, number, now, expires)
        if drawn is None:
            async with held.lock:
                for turn in range(_TURNS):
                    if turn > 1:
                        await asyncio.sleep(random.uniform(0, _PAUSE * 2**turn))  # noqa: S311 - jitter
                    drawn = _pieces(held, call_id, bound, number, now, expires)
                    if drawn is not None:
                        break
                    if not await self._fill(budget, held, bound, now, expires):
                        return []  # the budget is gone
                else:
                    raise Failure(Kind.UNAVAILABLE, "Too much at once on one budget: try again", retry_after=1)
        held.last_draw = now
        self._tidy()
        return drawn

    async def _fill(self, budget: Budget, held: _Held, bound: int, now: datetime, expires: datetime) -> bool:
        """Takes a lease, or several where no shard has enough. False when the budget is gone."""
        number, places = budget.window.number(now), budget.places
        missing = bound - sum(each.free for each in held.leases if each.open and each.serves(number, now, expires))
        held.slice = _next_slice(held, missing, now)
        mine = places[self._luck % len(places)]
        dry = held.known_dry(budget, missing, now)
        if dry is None:
            held.seen |= await self._purses.read([mine])  # a read costs less than a write that is refused
        if _offers(budget, held, now).get(mine, 0) >= missing and await self._lease(
            budget, held, mine, missing, now, expires
        ):
            return True
        if dry is not None:
            raise self._not_enough(budget, held, dry, now)
        if len(places) > _PIECES:  # every instance comes here in the moment in which the money ends
            await asyncio.sleep(random.uniform(0, _SPREAD))  # noqa: S311 - jitter
        held.seen = await self._purses.read(places)
        offers = _offers(budget, held, now)
        chosen = _chosen(offers, missing)
        total = sum(offers[place] for place in chosen)
        if offers and total < missing:
            held.ran_dry(budget, total, now)
            raise self._not_enough(budget, held, total, now)
        if offers and not self._lucky(held, offers, missing, now):
            held.ran_dry(budget, 0, now)
            raise self._not_enough(budget, held, 0, now)
        for place in chosen:
            piece = min(missing, offers[place])
            if piece > 0 and await self._lease(budget, held, place, piece, now, expires):
                missing -= piece
            if missing <= 0:
                break
        return bool(offers)

    def _lucky(self, held: _Held, offers: dict[Place, int], missing: int, now: datetime) -> bool:
        """Thousands of instances see the last of the money at once: so many go for it as have a chance to get it."""
        since = millis(now - self._term.drawn)
        entries = (each for purse in held.seen.values() for each in (purse.open or {}).values())
        rivals = sum(1 for each in entries if each.lease and each.at > since)
        served = max(1, sum(free // missing for free in offers.values()))
        return random.random() * rivals <= _TRIES * served  # noqa: S311 - jitter

    async def _lease(
        self, budget: Budget, held: _Held, place: Place, need: int, now: datetime, expires: datetime
    ) -> bool:
        """Whether at least `need` was taken there. What leases of that shard have left goes back in the same write."""
        name = f"l{secrets.token_hex(6)}"
        until = self._term.end(now, expires)
        over = [each for each in held.leases if each.place == place and not each.open][:MOST_AT_ONCE]
        held.leases = [each for each in held.leases if each not in over]  # nobody draws on them meanwhile
        amount = await self._write(budget, held, place, Want(name, need, millis(until), lease=True), over, now)
        if amount is None:
            held.leases += over
            return False
        for each in over:
            self._by_id.pop(each.id, None)
        window, last_expiry = amount.pots[budget.code] >> 16, until - self._term.beyond
        lease = _Lease(name, place, window, amount.bound, now, now + self._term.drawn, last_expiry)
        held.leases.append(lease)
        held.dry_looks = 0
        self._by_id[name] = lease
        return True

    async def _write(
        self, budget: Budget, held: _Held, place: Place, want: Want, over: Sequence[_Lease], now: datetime
    ) -> Entry | None:
        """The entry that was made, of what is wanted or more."""
        back = sum(each.free for each in over)
        for _ in range(_ATTEMPTS):
            purse = held.seen.get(place, Purse())
            entries = purse.open or {}
            if want.name in entries:  # our own first try, whose answer was lost
                return entries[want.name]
            pot = purse.pots.get(budget.code)
            if pot is None:
                return None
            free = as_of(pot, budget.window.number(now)).free + back
            amount = max(want.bound, _fair(held.slice, free, len(entries)))
            try:
                change = plan(
                    purse, now, want=replace(want, bound=amount), costs={each.id: each.cost(purse) for each in over}
                )
                await self._purses.write(place, change, now)
            except Unmet as unmet:
                if unmet.purse is None:
                    held.seen.pop(place, None)
                    return None
                held.seen[place] = unmet.purse
                await asyncio.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - jitter
            except (Short, Crowded):
                return None
            else:
                held.seen[place] = applied(held.seen.get(place, purse), change)
                return change.added[want.name]
        return None

    def _not_enough(self, budget: Budget, held: _Held, total: int, now: datetime) -> NotEnough:
        number = budget.window.number(now)
        own = sum(each.free for each in held.leases if each.open and each.window == number)
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
                await self._give_back(held, [each for each in held.leases if idle or now >= each.drawn_until])

    async def close(self) -> None:
        """Gives back every lease on which no call is under way."""
        if self._tidying is not None:
            self._tidying.cancel()
        for held in self._held.values():
            await self._give_back(held, held.leases)

    async def _give_back(self, held: _Held, leases: Sequence[_Lease]) -> None:
        """Those on which no call is under way."""
        by_place: dict[Place, list[_Lease]] = {}
        for lease in leases:
            if not lease.open:
                by_place.setdefault(lease.place, []).append(lease)
        for place, over in by_place.items():
            for start in range(0, len(over), MOST_AT_ONCE):
                await self._close(held, place, over[start : start + MOST_AT_ONCE])

    async def _close(self, held: _Held, place: Place, leases: Sequence[_Lease]) -> None:
        self._forget(held, [each.id for each in leases])  # nobody draws on them meanwhile
        purse = held.seen.get(place, Purse())
        for _ in range(_ATTEMPTS):
            now = self._clock.now()
            change = plan(purse, now, costs={each.id: each.cost(purse) for each in leases})
            if change.empty:
                return
            try:
                await self._purses.write(place, change, now)
                held.seen[place] = applied(held.seen.get(place, purse), change)
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


def _offers(budget: Budget, held: _Held, now: datetime) -> dict[Place, int]:
    """What could be had of each shard, with what one's own leases there could give back."""
    number = budget.window.number(now)
    offers = {
        place: as_of(purse.pots[budget.code], number).free
        for place, purse in held.seen.items()
        if budget.code in purse.pots
    }
    for lease in held.leases:
        if lease.place in offers and not lease.open and lease.window == number:
            offers[lease.place] += lease.free
    return {place: max(0, free) for place, free in offers.items()}


def _chosen(offers: dict[Place, int], missing: int) -> list[Place]:
    """Any one shard that has enough, not the fullest one, which all would storm; else a few that have most."""
    enough = [place for place, free in offers.items() if free >= missing]
    if enough:
        return [random.choice(enough)]  # noqa: S311 - no secret
    # Everybody sees the same crumbs: who went for the largest ones would meet all others there.
    luck = {place: random.random() ** (1 / free) if free else 0.0 for place, free in offers.items()}  # noqa: S311
    return sorted(offers, key=lambda place: -luck[place])[:_PIECES]


def _next_slice(held: _Held, missing: int, now: datetime) -> int:
    """So much that it lasts for the time aimed at, at the pace of the last one."""
    last = max(held.leases, key=lambda each: each.taken_at, default=None)
    if last is None:
        return missing * _FIRST
    lasted = max((now - last.taken_at).total_seconds(), 0.1)
    return max(missing, min(int((last.granted - max(0, last.free)) * _AIM_SECONDS / lasted), 16 * last.granted))


def _fair(slice_: int, free: int, leases: int) -> int:
    """Less than what would leave nothing for others; but a second's worth while there is that much."""
    a_second = int(slice_ / _AIM_SECONDS)
    return min(slice_, max(free // (_SHARE + 2 * leases), a_second if a_second <= free else 0))
