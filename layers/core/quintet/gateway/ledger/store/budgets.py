"""The budgets table: what was defined, and the purses of all budgets whose money lies on no account."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.transactions import TransactWrite

from quintet.gateway.ledger.model import ON_ACCOUNTS, SHARED, Budget, Place, Scope
from quintet.gateway.ledger.purse import Pot
from quintet.gateway.ledger.store.known import SHARED_BY_ALL, budget_of
from quintet.gateway.ledger.store.known import Known as Known
from quintet.gateway.ledger.store.known import known as known
from quintet.gateway.ledger.store.known import present as present
from quintet.gateway.shapes import BUDGET
from quintet.store.pages import Page, Paging
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together

_ALL = "budgets"


class ListedIndex(GlobalSecondaryIndex["BudgetItem"]):
    class Meta:
        index_name = "listed"
        projection = AllProjection()

    listed = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute(range_key=True)


class BudgetItem(Table):
    shape = BUDGET

    class Meta:
        table_name = TableName("budgets")

    id = UnicodeAttribute(hash_key=True)
    listed = UnicodeAttribute(default=_ALL)
    shared = UnicodeAttribute(null=True)  # those that every instance knows
    name = UnicodeAttribute()
    scope = UnicodeAttribute()
    subject = UnicodeAttribute()
    window = UnicodeAttribute()
    cap = NumberAttribute()
    since = NumberAttribute()
    shards = NumberAttribute()
    updated_at = NumberAttribute()
    updated_by = UnicodeAttribute()
    told = NumberAttribute(null=True)  # the window whose exhaustion was told
    listed_index = ListedIndex()


class ScopeItem(Table):
    """Says that there are, or were, budgets of a scope: without one nobody looks for them."""

    class Meta:
        table_name = TableName("budgets")

    id = UnicodeAttribute(hash_key=True)
    shared = UnicodeAttribute(default=SHARED_BY_ALL)


class _Purse(Table):
    """What the control plane writes of a purse; `store.purses` says what one is."""

    id = UnicodeAttribute(hash_key=True)
    l_stamp = NumberAttribute(null=True)
    l_open: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_h: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_d: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_m: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_t: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_kh: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_kd: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_km: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_kt: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_ph: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_pd: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_pm: MapAttribute[Any, Any] = MapAttribute(null=True)
    l_pt: MapAttribute[Any, Any] = MapAttribute(null=True)


class PurseItem(_Purse):
    class Meta:
        table_name = TableName("budgets")


class AccountPurseItem(_Purse):
    class Meta:
        table_name = TableName("accounts")


def find(identifier: str) -> Budget | None:
    try:
        item = BudgetItem.get(identifier, consistent_read=True)
    except DoesNotExist:
        return None
    return budget_of(item.attribute_values) if "cap" in item.attribute_values else None


def page(paging: Paging, scope: Scope | None = None, subject: str | None = None) -> Page[Budget]:
    """By name: scope, subject, window."""
    prefix = f"{scope}#{subject}#" if scope and subject else f"{scope}#" if scope else ""
    within: Any = None
    if paging.after:
        within = BudgetItem.name.between(paging.after + "\x00", (prefix or "") + "\U0010ffff")
    elif prefix:
        within = BudgetItem.name.startswith(prefix)
    found = list(
        BudgetItem.listed_index.query(_ALL, range_key_condition=within, limit=paging.offset + paging.limit + 1)
    )[paging.offset :]
    budgets = [budget_of(item.attribute_values) for item in found[: paging.limit]]
    return Page(budgets, budgets[-1].name if len(found) > paging.limit else None)


def add(budget: Budget, now: datetime, *also: Write) -> None:
    """Raises Unmet when there is one already."""
    if budget.scope not in SHARED:
        ScopeItem(f"scope#{budget.scope}").save()  # before: whoever sees the budget looks for its like

    def write(transaction: TransactWrite) -> None:
        transaction.save(_item(budget), condition=BudgetItem.id.does_not_exist())
        for place, portion in zip(budget.places, budget.portions(), strict=True):
            _found(transaction, budget, place, portion, now)

    write_together([write, *also])


def change(
    before: Budget, after: Budget, pots: Sequence[Pot], shifts: Sequence[int], now: datetime, *also: Write
) -> None:
    """`shifts` are what the cap of each pot gains or loses; shards beyond `pots` are new, with what they get.

    Raises Unmet when the budget, or a pot that must give something, is not as it was read.
    """

    def write(transaction: TransactWrite) -> None:
        transaction.update(
            BudgetItem(before.id),
            actions=[
                BudgetItem.cap.set(after.cap),
                BudgetItem.shards.set(after.shards),
                BudgetItem.updated_at.set(after.updated_at),
                BudgetItem.updated_by.set(after.updated_by),
            ],
            condition=_unchanged(before),
        )
        for number, (place, shift) in enumerate(zip(after.places, shifts, strict=True)):
            if number >= len(pots):
                _found(transaction, after, place, shift, now)
            elif shift:
                _shift(transaction, after, place, pots[number], shift)

    write_together([write, *also])


def remove(budget: Budget, *also: Write) -> None:
    """Raises Unmet when it is not as it was read."""

    def write(transaction: TransactWrite) -> None:
        transaction.delete(BudgetItem(budget.id), condition=_unchanged(budget))
        for place in budget.places:
            if budget.scope in ON_ACCOUNTS:
                pot = getattr(AccountPurseItem, f"l_{budget.code}")
                actions: list[Action] = [pot.remove(), AccountPurseItem.l_stamp.set(_stamp())]
                transaction.update(AccountPurseItem(place.id), actions=actions)
            else:
                transaction.delete(PurseItem(place.id))

    write_together([write, *also])


def told(budget: Budget, number: int, *also: Write) -> None:
    """Raises Unmet when the exhaustion of this window, or of a later one, was told already."""
    untold = BudgetItem.cap.exists() & (BudgetItem.told.does_not_exist() | (BudgetItem.told < number))
    actions: list[Action] = [BudgetItem.told.set(number)]
    write_together(
        [lambda transaction: transaction.update(BudgetItem(budget.id), actions=actions, condition=untold), *also]
    )


def _found(transaction: TransactWrite, budget: Budget, place: Place, portion: int, now: datetime) -> None:
    row = Pot(portion, portion, 0, budget.window.number(now), secrets.randbits(16)).row()
    if budget.scope in ON_ACCOUNTS:
        pot = getattr(AccountPurseItem, f"l_{budget.code}")
        actions: list[Action] = [pot.set(row), AccountPurseItem.l_stamp.set(_stamp())]
        transaction.update(AccountPurseItem(place.id), actions=actions)
    else:
        pots: dict[str, Any] = {f"l_{budget.code}": row}
        purse = PurseItem(place.id, l_stamp=_stamp(), l_open={}, **pots)
        transaction.save(purse, condition=PurseItem.id.does_not_exist())


def _shift(transaction: TransactWrite, budget: Budget, place: Place, pot: Pot, shift: int) -> None:
    model = AccountPurseItem if budget.scope in ON_ACCOUNTS else PurseItem
    held = getattr(model, f"l_{budget.code}")
    unchanged = (held["c"] == pot.cap) & (held["w"] == pot.window)
    if shift < 0:
        unchanged &= held["f"] == pot.free  # others must not take meanwhile what is given here
    actions: list[Action] = [held["c"].set(held["c"] + shift), held["f"].set(held["f"] + shift)]
    transaction.update(model(place.id), actions=actions, condition=unchanged)


def _unchanged(budget: Budget) -> Any:
    return (BudgetItem.cap == budget.cap) & (BudgetItem.since == budget.since)


def _stamp() -> int:
    return secrets.randbits(60)


def _item(budget: Budget) -> BudgetItem:
    return BudgetItem(
        budget.id,
        name=budget.name,
        shared=SHARED_BY_ALL if budget.scope in SHARED else None,
        scope=budget.scope.value,
        subject=budget.subject,
        window=budget.window.value,
        cap=budget.cap,
        since=budget.since,
        shards=budget.shards,
        updated_at=budget.updated_at,
        updated_by=budget.updated_by,
    )
