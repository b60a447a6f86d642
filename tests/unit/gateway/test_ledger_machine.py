"""Whatever happens in whatever order: caps hold, purses add up, and the ledger says what the request log says."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from quintet.errors import Failure, Kind
from quintet.gateway.ledger.leases import Leases, Term
from quintet.gateway.ledger.model import Budget, Reservation, Scope, Window
from quintet.gateway.model import Payer
from tests.fakes.ledger import FakeBudgets, FakeLedger, FakePurses, FakeRecords

T = TypeVar("T")

PAYERS = (
    Payer("ada", "key#one", key_id="one", task="t"),
    Payer("ada", "key#two", key_id="two", session="s"),
    Payer("ada", "user#ada", task="t", session="s"),
)
SUBJECTS = (
    (Scope.SYSTEM, None),
    (Scope.PRINCIPAL, "ada"),
    (Scope.KEY, "one"),
    (Scope.PROVIDER, "p"),
    (Scope.TASK, "t"),
    (Scope.SESSION, "s"),
)


class Hands:
    at = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class Ledgers(RuleBasedStateMachine):
    """Three instances over one memory. Total budgets alone: what they spent can be held against the whole log."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.clock = Hands()
        self.purses = FakePurses()
        self.budgets = FakeBudgets(self.purses)
        self.records = FakeRecords()
        self.instances = [self.instance() for _ in range(3)]
        self.held: list[tuple[int, Payer, Reservation]] = []
        self.log: list[tuple[Payer, Reservation]] = []
        self.payers: dict[str, Payer] = {}
        self.highest: dict[str, int] = {}
        self.number = 0

    def instance(self) -> FakeLedger:
        ledger = FakeLedger(self.purses, self.budgets, self.clock, records=self.records)
        ledger.leases = ledger._leases = Leases(
            self.purses, self.clock, Term(timedelta(seconds=30), timedelta(seconds=100), timedelta(seconds=100))
        )
        return ledger

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    @initialize(caps=st.lists(st.integers(0, 3000), min_size=len(SUBJECTS), max_size=len(SUBJECTS)))
    def define(self, caps: list[int]) -> None:
        for (scope, subject), cap in zip(SUBJECTS, caps, strict=True):
            made, _ = self.run(
                self.instances[0].control.put(scope, subject, Window.TOTAL, cap, actor="a", now=self.clock.at)
            )
            self.highest[made.id] = cap

    @rule(which=st.integers(0, 2), payer=st.sampled_from(PAYERS), bound=st.integers(1, 900))
    def reserve(self, which: int, payer: Payer, bound: int) -> None:
        self.number += 1
        name = f"c{self.number}"
        self.payers[name] = payer
        try:
            held = self.run(
                self.instances[which].reserve(payer, name, bound, self.clock.at, 10, provider="p", model="m")
            )
        except Failure as failure:
            if failure.kind is not Kind.EXHAUSTED:
                raise
        else:
            self.held.append((which, payer, held))

    @rule(data=st.data(), share=st.floats(0, 1), recorded=st.booleans())
    def settle(self, data: st.DataObject, share: float, recorded: bool) -> None:
        """A call without a record is one whose process died before it wrote any."""
        if self.held:
            which, payer, held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
            self.run(self.instances[which].settle(held, int(held.bound * share)))
            if self.clock.at < held.expires_at and recorded:
                self.log.append((payer, held))
            elif not recorded:
                self.crash(which)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.held:
            which, _, held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
            self.run(self.instances[which].release(held))

    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        """Any records, in any order, however often."""
        if self.log:
            picked = data.draw(st.lists(st.sampled_from(range(len(self.log))), max_size=6))
            self.consume([self.log[index] for index in picked])

    def consume(self, records: list[tuple[Payer, Reservation]]) -> None:
        calls = [{"cost": held.settle["cost"], "settle": dict(held.settle)} for _, held in records]
        self.run(self.instances[0].settling.settle_records([{"facts": {"calls": calls}}]))

    @rule(which=st.integers(0, 2))
    def crash(self, which: int) -> None:
        self.instances[which] = self.instance()
        self.held = [each for each in self.held if each[0] != which]

    @rule(which=st.integers(0, 2))
    def rest(self, which: int) -> None:
        self.run(self.instances[which].leases.close())

    @rule(index=st.integers(0, len(SUBJECTS) - 1), cap=st.integers(0, 4000))
    def change(self, index: int, cap: int) -> None:
        scope, subject = SUBJECTS[index]
        made, new = self.run(
            self.instances[0].control.put(scope, subject, Window.TOTAL, cap, actor="a", now=self.clock.at)
        )
        assert not new
        self.highest[made.id] = max(self.highest[made.id], cap)

    @rule()
    def sweep(self) -> None:
        self.consume(self.log)  # the stream is up to date when the schedule ticks
        for table in ("accounts", "budgets"):
            self.run(self.instances[0].settling.sweep(table, 0))
            self.run(self.instances[0].settling.settle_records([{"facts": {"calls": [*self.records.calls.values()]}}]))

    @rule(seconds=st.sampled_from([1, 20, 75]))
    def wait(self, seconds: int) -> None:
        self.consume(self.log)
        self.clock.at += timedelta(seconds=seconds)

    @invariant()
    def purses_add_up_and_caps_hold(self) -> None:
        for purse in self.purses.purses.values():
            for code, pot in purse.pots.items():
                held = sum(each.bound - each.used for each in (purse.open or {}).values() if code in each.pots)
                assert pot.cap == pot.free + pot.spent + held
        for budget in self.budgets.budgets.values():
            pots = [self.purses.purses[place].pots[budget.code] for place in budget.places]
            assert sum(pot.spent for pot in pots) <= self.highest[budget.id]

    def teardown(self) -> None:
        try:
            self.everybody_dies()
        finally:
            self.loop.close()

    def everybody_dies(self) -> None:
        """In the end what was said is all there is."""
        self.instances = [self.instance()]
        self.consume(self.log)
        for _ in range(3):
            self.clock.at += timedelta(hours=1)
            self.sweep()
        assert not [name for purse in self.purses.purses.values() for name in purse.open or {}]
        for budget in self.budgets.budgets.values():
            spent = sum(self.purses.purses[place].pots[budget.code].spent for place in budget.places)
            assert spent == self.logged(budget), budget.name

    def logged(self, budget: Budget) -> int:
        costs = {held.call_id: (payer, held.settle["cost"]) for payer, held in self.log if held.settle}
        costs |= {name: (self.payers[name], call["cost"]) for name, call in self.records.calls.items()}
        return sum(cost for payer, cost in costs.values() if concerns(budget, payer))


def concerns(budget: Budget, payer: Payer) -> bool:
    of = {
        Scope.SYSTEM: "*",
        Scope.PROVIDER: "p",
        Scope.PRINCIPAL: payer.principal,
        Scope.KEY: payer.key_id,
        Scope.TASK: payer.task,
        Scope.SESSION: payer.session,
    }
    return of.get(budget.scope) == budget.subject


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)
