"""The arithmetic of purses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.gateway.ledger.budgets import shifts
from quintet.gateway.ledger.model import Budget, Place, Scope, Window, budget_id, home_of, shards_for
from quintet.gateway.ledger.purse import MOST_OPEN, Crowded, Entry, Pot, Purse, Short, Want, applied, plan
from quintet.gateway.ledger.refusing import usd
from quintet.store.clock import millis

NOW = datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
HOUR = Window.HOUR.number(NOW)


def purse(**pots: tuple[int, int, int, int]) -> Purse:
    """Each pot as cap, free, spent, window."""
    return Purse(1, {code: Pot(*values, tag=7) for code, values in pots.items()}, {})


def want(bound: int, name: str = "a") -> Want:
    return Want(name, bound, millis(NOW) + 1000)


@pytest.mark.parametrize(
    ("window", "before", "after"),
    [
        (Window.HOUR, "2026-12-31T23:59:59.999", "2027-01-01T00:00:00"),
        (Window.DAY, "2028-02-28T23:59:59.999", "2028-02-29T00:00:00"),
        (Window.MONTH, "2026-12-31T23:59:59.999", "2027-01-01T00:00:00"),
        (Window.MONTH, "2028-02-29T23:59:59.999", "2028-03-01T00:00:00"),
    ],
)
def test_windows_roll_over_to_the_millisecond(window: Window, before: str, after: str) -> None:
    last, first = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (before, after))
    assert window.number(first) == window.number(last) + 1
    assert window.resets_at(window.number(last)) == first


def test_the_total_never_rolls_over() -> None:
    assert Window.TOTAL.number(NOW) == Window.TOTAL.number(NOW + timedelta(days=10_000))


def test_months_are_utcs_wherever_the_clock_stands() -> None:
    west = datetime.fromisoformat("2026-12-31T23:00:00-05:00")
    assert Window.MONTH.number(west) == 2027 * 12


def test_takes_from_every_pot_or_from_none() -> None:
    both = purse(kh=(10, 10, 0, HOUR), kt=(10, 4, 6, 0))
    taken = applied(both, plan(both, NOW, want=want(4)))
    assert [pot.free for pot in taken.pots.values()] == [6, 0]
    with pytest.raises(Short) as short:
        plan(both, NOW, want=want(5))
    assert (short.value.code, short.value.affordable) == ("kt", 4)


def test_a_pot_of_an_earlier_window_begins_anew() -> None:
    old = purse(kh=(10, 0, 9, HOUR - 1))
    new = applied(old, plan(old, NOW, want=want(10)))
    assert new.pots["kh"] == Pot(10, 0, 0, HOUR, 7)


def test_a_clock_that_is_behind_charges_the_present_window() -> None:
    ahead = purse(kh=(10, 7, 3, HOUR + 1))
    taken = applied(ahead, plan(ahead, NOW, want=want(7)))
    assert taken.pots["kh"] == Pot(10, 0, 3, HOUR + 1, 7)
    settled = applied(taken, plan(taken, NOW, costs={"a": 2}))
    assert settled.pots["kh"] == Pot(10, 5, 5, HOUR + 1, 7)


def test_shrinking_frees_the_rest_and_closing_spends() -> None:
    held = purse(kt=(10, 10, 0, 0))
    held = applied(held, plan(held, NOW, want=want(8)))
    shrunk = applied(held, plan(held, NOW, shrunk={"a": 3}))
    assert shrunk.pots["kt"] == Pot(10, 7, 0, 0, 7)
    closed = applied(shrunk, plan(shrunk, NOW, costs={"a": 3}))
    assert (closed.pots["kt"], closed.open) == (Pot(10, 7, 3, 0, 7), {})
    assert plan(closed, NOW, costs={"a": 3}).empty


def test_an_entry_of_a_pot_that_was_removed_and_made_again_is_not_the_new_ones() -> None:
    held = purse(kt=(10, 10, 0, 0))
    held = applied(held, plan(held, NOW, want=want(8)))
    again = replace(held, pots={"kt": Pot(10, 10, 0, 0, tag=8)})
    assert applied(again, plan(again, NOW, costs={"a": 8})).pots["kt"].spent == 0


def test_too_many_calls_at_once_are_turned_away() -> None:
    entries = {f"c{number}": Entry(1, 0, 0, {}) for number in range(MOST_OPEN)}
    with pytest.raises(Crowded):
        plan(Purse(1, {}, entries), NOW, want=want(1))
    plan(Purse(1, {}, entries), NOW, want=want(1), costs={"c0": 0})


def test_an_entry_comes_back_from_its_row() -> None:
    for entry in (
        Entry(1, 2, 3, {"kt": 4}, facts={"m": "x"}, given_up=True),
        Entry(1, 2, 3, {"kt": 4}, lease=True, used=5, lost={"a": 1}),
    ):
        assert Entry.of(entry.row()) == entry


def test_a_lease_is_closed_at_worst_at_what_is_proven() -> None:
    assert Entry(100, 0, 0, {}, lease=True, used=30, lost={"a": 20}).at_worst == 50
    assert Entry(100, 0, 0, {}, lease=True, used=90, lost={"a": 20}).at_worst == 100
    assert Entry(100, 0, 0, {}).at_worst == 100


def budget(cap: int, shards: int = 1) -> Budget:
    return Budget(Scope.SYSTEM, "*", Window.TOTAL, cap, 0, shards)


def test_a_small_budget_is_not_parted_and_a_large_one_is() -> None:
    usd_ = 1_000_000_000
    assert [shards_for(Scope.SYSTEM, cap * usd_) for cap in (0, 1, 39, 40, 10_000)] == [1, 1, 1, 2, 96]
    assert shards_for(Scope.TASK, 10_000 * usd_) == 1
    assert sum(budget(10_007, 64).portions()) == 10_007


def pots(*values: tuple[int, int]) -> list[Pot]:
    return [Pot(cap, free, 0, 0, 0) for cap, free in values]


def test_more_is_shared_out_and_less_is_taken_where_it_is_free() -> None:
    assert shifts(budget(10, 2), budget(15, 2), pots((5, 0), (5, 5)), NOW) == [3, 2]
    assert shifts(budget(10, 2), budget(6, 2), pots((5, 0), (5, 5)), NOW) == [0, -4]
    assert shifts(budget(10, 2), budget(2, 2), pots((5, 0), (5, 1)), NOW) == [-5, -3]
    grown = shifts(budget(10, 2), budget(100, 4), pots((5, 0), (5, 5)), NOW)
    assert (sum(grown), grown[2:]) == (90, [25, 25])


def test_names_and_places() -> None:
    key = Budget(Scope.KEY, "k", Window.DAY, 1, 0)
    assert (key.code, key.places) == ("kd", (Place("accounts", "key#k"),))
    assert key.id == budget_id(Scope.KEY, "k", Window.DAY) != budget_id(Scope.KEY, "k", Window.HOUR)
    assert home_of("static") == Place("accounts", "static#token")
    assert home_of("ada") == Place("accounts", "user#ada")


def test_money_is_written_with_all_its_digits() -> None:
    assert [usd(each) for each in (0, 1, 1_500_000_000, 10**18)] == ["0", "0.000000001", "1.5", "1000000000"]
