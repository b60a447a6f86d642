"""Budgets as the control plane handles them: set, changed, removed, and how each of them stands."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.model import Budget, Place, Scope, State, Window, budget_id, shards_for, subject_of
from quintet.gateway.ledger.purse import Pot, Purse, as_of
from quintet.http.work import offload
from quintet.store.clock import millis
from quintet.store.pages import Page, Paging
from quintet.store.transactions import Unmet, Write

_ATTEMPTS = 8
_PAGE = 500

Audit = Callable[[str, str, Mapping[str, Any], str], Write]
"""`events.audit.audited`."""

Read = Callable[[Sequence[Place]], Awaitable[Mapping[Place, Purse]]]
"""`store.purses.read`."""


class BudgetStore(Protocol):
    """`store.budgets`."""

    def find(self, identifier: str, /) -> Budget | None: ...

    def page(self, paging: Paging, scope: Scope | None = None, subject: str | None = None, /) -> Page[Budget]: ...

    def add(self, budget: Budget, now: datetime, /, *also: Write) -> None: ...

    def change(
        self, before: Budget, after: Budget, pots: Sequence[Pot], shifts: Sequence[int], now: datetime, /, *also: Write
    ) -> None: ...

    def remove(self, budget: Budget, /, *also: Write) -> None: ...


class Budgets:
    """`changed` is told of every change made here, so that this instance forgets what it knew."""

    def __init__(self, store: BudgetStore, read: Read, audit: Audit, changed: Callable[[], None]) -> None:
        self._store = store
        self._read = read
        self._audit = audit
        self._changed = changed

    async def put(
        self, scope: Scope, subject: str | None, window: Window, cap: int, *, actor: str, now: datetime
    ) -> tuple[Budget, bool]:
        """Sets the cap of the one budget of this scope, subject and window; whether it is new."""
        subject = subject_of(scope, subject)
        budget = Budget(scope, subject, window, cap, millis(now), shards_for(scope, cap), millis(now), actor)
        for _ in range(_ATTEMPTS):
            before = await offload(self._store.find, budget.id)
            try:
                if before is not None:
                    return await self._set(before, cap, actor, now), False
                event = self._audit("budget.created", budget.id, _told(budget), actor)
                await offload(self._store.add, budget, now, event)
            except Unmet:
                continue
            self._changed()
            return budget, True
        raise _busy()

    async def change(self, identifier: str, cap: int, *, actor: str, now: datetime) -> Budget:
        for _ in range(_ATTEMPTS):
            before = await self.get(identifier)
            try:
                return await self._set(before, cap, actor, now)
            except Unmet:
                continue
        raise _busy()

    async def remove(self, identifier: str, *, actor: str) -> Budget:
        for _ in range(_ATTEMPTS):
            budget = await self.get(identifier)
            try:
                event = self._audit("budget.removed", budget.id, _told(budget), actor)
                await offload(self._store.remove, budget, event)
            except Unmet:
                continue
            self._changed()
            return budget
        raise _busy()

    async def get(self, identifier: str) -> Budget:
        budget = await offload(self._store.find, identifier)
        if budget is None:
            raise Failure(Kind.NOT_FOUND, "There is no such budget")
        return budget

    async def of(self, scope: Scope, subject: str | None, window: Window) -> Budget | None:
        return await offload(self._store.find, budget_id(scope, subject_of(scope, subject), window))

    async def page(self, paging: Paging, scope: Scope | None = None, subject: str | None = None) -> Page[Budget]:
        return await offload(self._store.page, paging, scope, subject)

    async def states(self, budgets: Sequence[Budget], now: datetime) -> list[State]:
        purses = await self._read([*{place for budget in budgets for place in budget.places}])
        return [state_of(budget, purses, now) for budget in budgets]

    async def all_states(self, now: datetime, scopes: Sequence[Scope]) -> list[State]:
        """Of every budget of these scopes, by name."""
        found: list[State] = []
        for scope in scopes:
            paging = Paging(limit=_PAGE)
            while True:
                page = await self.page(paging, scope)
                found += await self.states(page.items, now)
                if page.after is None:
                    break
                paging = replace(paging, after=page.after)
        return found

    async def _set(self, before: Budget, cap: int, actor: str, now: datetime) -> Budget:
        shards = max(before.shards, shards_for(before.scope, cap))
        after = replace(before, cap=cap, shards=shards, updated_at=millis(now), updated_by=actor)
        purses = await self._read(before.places)
        try:
            pots = [purses[place].pots[before.code] for place in before.places]
        except KeyError:
            raise Unmet(0) from None  # removed meanwhile
        told = {**_told(after), "previous_cap": before.cap}
        event = self._audit("budget.changed", after.id, told, actor)
        await offload(self._store.change, before, after, pots, shifts(before, after, pots, now), now, event)
        self._changed()
        return after


def shifts(before: Budget, after: Budget, pots: Sequence[Pot], now: datetime) -> list[int]:
    """What each shard's cap gains or loses: together the difference, each one's at least nothing afterwards.

    Less is taken where most is free, so that no shard lets through what another one has spent already.
    """
    number = after.window.number(now)
    difference = after.cap - before.cap
    fresh = after.shards - len(pots)
    if difference >= 0:
        new = min(after.cap // after.shards, difference // fresh) if fresh else 0
        whole, rest = divmod(difference - new * fresh, len(pots))
        return [*(whole + (index < rest) for index in range(len(pots))), *[new] * fresh]
    missing = -difference
    taken = [0] * len(pots)
    free = [max(0, min(as_of(pot, number).free, pot.cap)) for pot in pots]
    for index in sorted(range(len(pots)), key=lambda each: -free[each]):
        taken[index] = min(free[index], missing)
        missing -= taken[index]
    for index, pot in enumerate(pots):
        more = min(missing, pot.cap - taken[index])
        taken[index] += more
        missing -= more
    return [-each for each in taken]


def state_of(budget: Budget, purses: Mapping[Place, Purse], now: datetime) -> State:
    number = budget.window.number(now)
    pots = [
        as_of(purses[place].pots[budget.code], number)
        for place in budget.places
        if place in purses and budget.code in purses[place].pots
    ]
    spent, free = sum(pot.spent for pot in pots), sum(pot.free for pot in pots)
    reserved = sum(pot.cap for pot in pots) - spent - free
    return State(budget, spent, reserved, budget.window.resets_at(number))


def _told(budget: Budget) -> dict[str, Any]:
    return {
        "scope": budget.scope.value,
        "subject": budget.subject,
        "window": budget.window.value,
        "cap": budget.cap,
    }


def _busy() -> Failure:
    return Failure(Kind.UNAVAILABLE, "This budget is being changed: try again", retry_after=1)
