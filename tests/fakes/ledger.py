"""Budgets and purses in memory, with the conditions that the tables have; and a ledger over them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from quintet.errors import Failure
from quintet.gateway.ledger.budgets import Budgets
from quintet.gateway.ledger.definitions import Definitions
from quintet.gateway.ledger.keeper import Keeper
from quintet.gateway.ledger.leases import Leases
from quintet.gateway.ledger.model import ON_ACCOUNTS, SHARED, Budget, Place, Scope
from quintet.gateway.ledger.purse import MOST_OPEN, Change, Entry, Pot, Purse, applied
from quintet.gateway.ledger.settling import Settling
from quintet.gateway.ledger.store.budgets import Known
from quintet.gateway.ledger.store.purses import Unmet as Changed
from quintet.store.clock import Clock, SystemClock
from quintet.store.pages import Page, Paging
from quintet.store.transactions import Unmet, Write

Fault = Callable[[str, Place], Awaitable[str | None]]
"""What goes wrong with a write: "lost" happens without an answer, "throttled" does not happen. None is as it should."""


async def nothing(_operation: str, _place: Place) -> str | None:
    return None


@dataclass
class Account:
    rev: int | None = None
    closed: bool = False


@dataclass
class FakePurses:
    """`writes` counts what was asked of each purse. A lost answer is asked for again, as the wire does."""

    purses: dict[Place, Purse] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    writes: dict[Place, int] = field(default_factory=dict)
    reads: int = 0
    fault: Fault = nothing

    async def note(self, place: Place, stamp: int | None, rev: int | None, now: datetime) -> None:
        await self._attempt("note", place, lambda: self._note(place, stamp, rev))

    async def write(
        self, place: Place, change: Change, now: datetime, *, caller: bool = False, rev: int | None = None
    ) -> None:
        await self._attempt("write", place, lambda: self._write(place, change, rev, caller))

    async def read(self, places: Sequence[Place]) -> dict[Place, Purse]:
        self.reads += 1
        await asyncio.sleep(0)
        return {place: self.purses[place] for place in places if place in self.purses}

    async def held(self, table: str, shard: int) -> list[Place]:
        return [place for place, purse in self.purses.items() if place.table == table and purse.open and shard == 0]

    async def let_go(self, place: Place) -> None:
        pass

    async def _attempt(self, operation: str, place: Place, do: Callable[[], Any]) -> Any:
        for _ in range(8):
            await asyncio.sleep(0)
            self.writes[place] = self.writes.get(place, 0) + 1
            fault = await self.fault(operation, place)
            if fault == "throttled":
                continue
            done = do()
            if fault != "lost":
                return done
        raise TimeoutError("nobody answers")

    def _note(self, place: Place, stamp: int | None, rev: int | None) -> None:
        purse = self.purses.get(place, Purse())
        if not self._stands(place, rev) or purse.stamp != stamp:
            raise self._changed(place)
        self.purses.setdefault(place, Purse())

    def _write(self, place: Place, change: Change, rev: int | None, caller: bool) -> None:
        there = self.purses.get(place)
        if place.table != "accounts" and there is None:
            raise self._changed(place)
        before = there or Purse()
        if not self._holds(before, change) or (caller and not self._stands(place, rev)):
            raise self._changed(place)
        self.purses[place] = applied(before, change)

    def _holds(self, purse: Purse, change: Change) -> bool:
        entries = purse.open or {}
        if purse.stamp != change.stamp:
            return False
        if change.opens and purse.open is not None:
            return False
        if change.added and not change.opens and purse.open is None:
            return False
        if change.added and len(entries) >= MOST_OPEN + len(change.closed):
            return False
        if any(name in entries for name in change.added):
            return False
        expected = {**change.closed, **{name: before for name, (before, _) in change.replaced.items()}}
        if any(name not in entries or not _same(entries[name], entry) for name, entry in expected.items()):
            return False
        for code, move in change.moves.items():
            pot = purse.pots.get(code)
            if pot is None or pot.window != move.before:
                return False
            has = pot.free if move.before == move.window else pot.cap
            if change.taking and move.free < 0 and has + move.free < 0:
                return False
        return True

    def _stands(self, place: Place, rev: int | None) -> bool:
        account = self.accounts.get(place.id, Account())
        return not account.closed and (rev is None or account.rev is None or account.rev == rev)

    def _changed(self, place: Place) -> Changed:
        changed = Changed(None)
        account = self.accounts.get(place.id)
        if account is not None:
            changed.item = {"closed": True} if account.closed else {"rev": account.rev}
        changed.purse = self.purses.get(place)
        return changed


def _same(held: Entry, planned: Entry) -> bool:
    if planned.lease:
        return held == planned
    return held.bound == planned.bound and held.given_up == planned.given_up


@dataclass
class FakeBudgets:
    purses: FakePurses
    budgets: dict[str, Budget] = field(default_factory=dict)
    scopes: set[Scope] = field(default_factory=set)
    marked: dict[str, int] = field(default_factory=dict)
    stamps: int = 0

    async def known(self) -> Known:
        return Known([each for each in self.budgets.values() if each.scope in SHARED], frozenset(self.scopes))

    async def present(self, ids: Iterable[str]) -> Mapping[str, Budget]:
        return {each: self.budgets[each] for each in ids if each in self.budgets}

    def find(self, identifier: str) -> Budget | None:
        return self.budgets.get(identifier)

    def page(self, paging: Paging, scope: Scope | None = None, subject: str | None = None) -> Page[Budget]:
        named = {each.name: each for each in self.budgets.values()}
        fits = [
            named[name]
            for name in sorted(named)
            if name > (paging.after or "")
            and (scope is None or named[name].scope is scope)
            and (not subject or named[name].subject == subject)
        ][paging.offset :]
        found = fits[: paging.limit]
        return Page(found, found[-1].name if len(fits) > paging.limit else None)

    def add(self, budget: Budget, now: datetime, *_also: Write) -> None:
        if budget.id in self.budgets:
            raise Unmet(0)
        self.budgets[budget.id] = budget
        self.scopes.add(budget.scope)
        for place, portion in zip(budget.places, budget.portions(), strict=True):
            self._found(budget, place, portion, now)

    def change(
        self, before: Budget, after: Budget, pots: Sequence[Pot], shifts: Sequence[int], now: datetime, *_also: Write
    ) -> None:
        if self.budgets.get(before.id) != before:
            raise Unmet(0)
        for place, pot, shift in zip(after.places, pots, shifts, strict=False):
            held = self.purses.purses[place].pots[after.code]
            if held.cap != pot.cap or held.window != pot.window or (shift < 0 and held.free != pot.free):
                raise Unmet(1)
        self.budgets[before.id] = after
        for number, (place, shift) in enumerate(zip(after.places, shifts, strict=True)):
            if number >= len(pots):
                self._found(after, place, shift, now)
            else:
                purse = self.purses.purses[place]
                pot = purse.pots[after.code]
                moved = replace(pot, cap=pot.cap + shift, free=pot.free + shift)
                self.purses.purses[place] = replace(purse, pots={**purse.pots, after.code: moved})

    def remove(self, budget: Budget, *_also: Write) -> None:
        if self.budgets.pop(budget.id, None) is None:
            raise Unmet(0)
        for place in budget.places:
            if budget.scope in ON_ACCOUNTS:
                purse = self.purses.purses[place]
                pots = {code: pot for code, pot in purse.pots.items() if code != budget.code}
                self.purses.purses[place] = replace(purse, stamp=self._stamp(), pots=pots)
            else:
                del self.purses.purses[place]

    def told(self, budget: Budget, number: int, *_also: Write) -> None:
        if budget.id not in self.budgets or self.marked.get(budget.id, -1) >= number:
            raise Unmet(0)
        self.marked[budget.id] = number

    def _found(self, budget: Budget, place: Place, portion: int, now: datetime) -> None:
        on_account = budget.scope in ON_ACCOUNTS
        purse = self.purses.purses.get(place, Purse(open=None if on_account else {}))
        pot = Pot(portion, portion, 0, budget.window.number(now), self._stamp())
        self.purses.purses[place] = replace(purse, stamp=self._stamp(), pots={**purse.pots, budget.code: pot})

    def _stamp(self) -> int:
        self.stamps += 1
        return self.stamps


@dataclass
class FakeRecords:
    """The request log's abandoned calls: what each one's record says."""

    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    amended: set[str] = field(default_factory=set)

    async def add(self, call: Mapping[str, Any], at: datetime, account: str) -> None:
        self.calls.setdefault(call["call_id"], dict(call))

    async def amend(self, call_id: str, at: datetime, cost: int) -> None:
        if call_id in self.calls and call_id not in self.amended:
            self.amended.add(call_id)
            self.calls[call_id]["cost"] -= cost


@dataclass
class Told:
    """Who was told that a budget is exhausted, refusal after refusal."""

    times: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, budget: Budget, number: int, failure: Failure, now: datetime) -> None:
        self.times.append((budget.id, number))


class FakeLedger(Keeper):
    """A ledger of one process over memory: `purses` may be shared with others."""

    def __init__(
        self,
        purses: FakePurses | None = None,
        budgets: FakeBudgets | None = None,
        clock: Clock | None = None,
        grace: timedelta = timedelta(seconds=60),
        records: "FakeRecords | None" = None,
    ) -> None:
        clock = clock or SystemClock()
        self.purses = purses or FakePurses()
        self.budgets = budgets or FakeBudgets(self.purses)
        self.records = records or FakeRecords()
        self.told = Told()
        self.settling = Settling(self.purses, self.records, clock)
        self.leases = Leases(self.purses, clock)
        definitions = Definitions(self.budgets)
        self.control = Budgets(self.budgets, self.purses.read, _unheard, definitions.forget)
        super().__init__(
            self.purses,
            definitions,
            self.leases,
            self.settling.give_up,
            self.told,
            clock=clock,
            grace=grace,
        )


def _unheard(_type: str, _subject: str, _data: Mapping[str, Any], _actor: str) -> Write:
    return lambda _transaction: None
