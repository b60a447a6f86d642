"""The accounts table as the control plane writes it; `registry` says what an account is."""

from collections.abc import Iterable
from datetime import UTC, datetime

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.update import Action

from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write


class AccountItem(Table):
    class Meta:
        table_name = TableName("accounts")

    id = UnicodeAttribute(hash_key=True)
    closed = BooleanAttribute(null=True)
    rev = NumberAttribute(null=True)
    last_used = NumberAttribute(null=True)


def revised(account: str, rev: int, *, closed: bool = False) -> Write:
    """From now on only a caller of revision `rev` is let in, or nobody at all."""
    actions: list[Action] = [AccountItem.rev.set(rev)]
    actions.append(AccountItem.closed.set(True) if closed else AccountItem.closed.remove())
    return lambda transaction: transaction.update(AccountItem(account), actions=actions)


def last_used(accounts: Iterable[str]) -> dict[str, datetime]:
    found = AccountItem.batch_get(list(accounts), attributes_to_get=["id", "last_used"])
    return {item.id: datetime.fromtimestamp(int(item.last_used), UTC) for item in found if item.last_used}
