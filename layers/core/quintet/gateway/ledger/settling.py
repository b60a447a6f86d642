"""What the request log says was spent, brought into the purses: exactly once, however often a record is told.

An entry is there until its call's record closes it, so closing is its own proof that nobody did before. What a record
says of a lease is the sum used so far: the largest one said counts.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from quintet.gateway.ledger.model import Place
from quintet.gateway.ledger.purse import MOST_AT_ONCE, Change, Entry, Purse, applied, plan
from quintet.gateway.ledger.store.purses import Unmet
from quintet.store.clock import Clock, SystemClock, from_millis, millis

ABANDONED = "abandoned"
_ATTEMPTS = 24
_AT_ONCE = 16


class SettledPurses(Protocol):
    """`store.purses`."""

    async def write(self, place: Place, change: Change, now: datetime, /) -> None: ...

    async def read(self, places: Sequence[Place], /) -> dict[Place, Purse]: ...

    async def held(self, table: str, shard: int, /) -> list[Place]: ...

    async def let_go(self, place: Place, /) -> None: ...


class AbandonedRecords(Protocol):
    """`store.abandoned`."""

    async def add(self, call: Mapping[str, Any], at: datetime, account: str, /) -> None:
        """Writes the record once."""
        ...

    async def amend(self, call_id: str, at: datetime, cost: int, /) -> None:
        """Takes `cost` off an abandoned call whose own record came after all. Once, and only if there is one."""
        ...


@dataclass(slots=True)
class _Due:
    """What records say of one purse. `given_up` are calls that were abandoned: at their bound."""

    costs: dict[str, int] = field(default_factory=dict)
    given_up: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    lost: dict[str, dict[str, int]] = field(default_factory=dict)


class Settling:
    def __init__(self, purses: SettledPurses, records: AbandonedRecords, clock: Clock | None = None) -> None:
        self._purses = purses
        self._records = records
        self._clock = clock or SystemClock()

    async def settle_records(self, records: Iterable[Mapping[str, Any]]) -> int:
        """Request-log records as they are stored, plain values. Answers how many entries they closed."""
        due: dict[Place, _Due] = {}
        late: list[tuple[str, int, int]] = []
        now = millis(self._clock.now())
        for call in _calls(records):
            told = call["settle"]
            _note(due, call, told)
            if call.get("failure") != ABANDONED and now >= told["expires"]:
                late.append((told["reservation"], told["at"], told["cost"]))
        for call_id, at, cost in late:
            await self._records.amend(call_id, from_millis(at), cost)
        purses = await self._purses.read(list(due))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(place: Place) -> int:
            async with gate:
                return await self._apply(place, purses[place], due[place])

        return sum(await asyncio.gather(*[one(place) for place in due if place in purses]))

    async def sweep(self, table: str, shard: int) -> int:
        """Closes what has expired in the purses of one shard of the index. Answers how many entries were closed."""
        closed = 0
        places = await self._purses.held(table, shard)
        for place, purse in (await self._purses.read(places)).items():
            now = self._clock.now()
            if not purse.open:
                await self._purses.let_go(place)
            elif purse.expired(now):
                closed += len(purse.open) - len((await self.give_up(place, purse, now)).open or {})
        return closed

    async def give_up(self, place: Place, purse: Purse, now: datetime) -> Purse:
        """Closes the entries that have expired, a call's after its record says so.

        First the entry is marked, so that no other record settles the call any more; whoever dies on the way leaves
        what the next one goes on with. Answers the purse as it is then.
        """
        attempts = _ATTEMPTS
        while attempts:
            expired = dict(islice(purse.expired(now).items(), MOST_AT_ONCE))
            if not expired:
                return purse
            unmarked = {name: each for name, each in expired.items() if not each.lease and not each.given_up}
            try:
                if unmarked and place.table == "accounts":
                    marked = {name: replace(each, given_up=True) for name, each in unmarked.items()}
                    purse = await self._written(place, purse, plan(purse, now, revised=marked), now)
                    continue
                for name, entry in expired.items():
                    if entry.given_up:
                        await self._records.add(_abandoned(name, entry, place), from_millis(entry.at), place.id)
                costs = {name: each.at_worst for name, each in expired.items()}
                purse = await self._written(place, purse, plan(purse, now, costs=costs), now)
            except Unmet as unmet:
                purse = unmet.purse or Purse()
                attempts -= 1
        return purse

    async def _written(self, place: Place, purse: Purse, change: Change, now: datetime) -> Purse:
        await self._purses.write(place, change, now)
        return applied(purse, change)

    async def _apply(self, place: Place, purse: Purse, due: _Due) -> int:
        closed, attempts = 0, _ATTEMPTS
        while attempts:
            now = self._clock.now()
            entries = purse.open or {}
            costs = {name: cost for name, cost in due.costs.items() if name in entries and not entries[name].given_up}
            costs |= {name: bound for name, bound in due.given_up.items() if name in entries}
            costs = dict(islice(costs.items(), MOST_AT_ONCE))
            revised = dict(islice(_reported(entries, due).items(), MOST_AT_ONCE - len(costs)))
            change = plan(purse, now, costs=costs, revised=revised)
            if change.empty:
                return closed
            try:
                purse = await self._written(place, purse, change, now)
            except Unmet as unmet:
                purse = unmet.purse or Purse()
                attempts -= 1
            else:
                closed += len(change.closed)
        raise RuntimeError(f"{place.id} has no rest: the batch comes again")


def _calls(records: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for record in records:
        facts = record.get("facts")
        calls = facts.get("calls") if isinstance(facts, Mapping) else None
        for call in calls if isinstance(calls, list) else ():
            told = call.get("settle") if isinstance(call, Mapping) else None
            if isinstance(told, Mapping) and "cost" in told:
                yield call


def _note(due: dict[Place, _Due], call: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    abandoned = call.get("failure") == ABANDONED
    for place in (Place("accounts", told["account"]), *(Place(*each) for each in told.get("purses", ()))):
        where = due.setdefault(place, _Due())
        (where.given_up if abandoned else where.costs)[told["reservation"]] = told["cost"]
    for shard, lease, amount, *used in told.get("leases", ()):
        where = due.setdefault(Place("budgets", shard), _Due())
        if abandoned:
            where.lost.setdefault(lease, {})[told["reservation"]] = amount
        elif used:
            where.used[lease] = max(where.used.get(lease, 0), used[0])


def _reported(entries: Mapping[str, Entry], due: _Due) -> dict[str, Entry]:
    told: dict[str, Entry] = {}
    for name in {*due.used, *due.lost} & entries.keys():
        before = entries[name]
        lost = {**before.lost, **due.lost.get(name, {})}
        after = replace(before, used=max(before.used, due.used.get(name, 0)), lost=lost)
        if after != before:
            told[name] = after
    return told


def _abandoned(name: str, entry: Entry, place: Place) -> dict[str, Any]:
    """The call as its record tells it: nobody knows what it cost, so it cost its bound."""
    facts = entry.facts
    settle = {
        "reservation": name,
        "account": place.id,
        "bound": entry.bound,
        "at": entry.at,
        "expires": entry.expires,
        "cost": entry.bound,
        "purses": facts.get("o"),
        "leases": facts.get("l"),
    }
    call = {
        "call_id": name,
        "model": facts.get("m"),
        "provider": facts.get("v"),
        "task": facts.get("t"),
        "session": facts.get("n"),
        "principal": facts.get("q"),
        "key_id": facts.get("k"),
        "status": "error",
        "failure": ABANDONED,
        "usage_known": False,
        "bound": entry.bound,
        "cost": entry.bound,
        "settle": {name: value for name, value in settle.items() if value is not None},
    }
    return {name: value for name, value in call.items() if value is not None}
