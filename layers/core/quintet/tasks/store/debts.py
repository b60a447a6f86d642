"""Debts of tasks and escalations: the few rows that say what was promised and is not done yet."""

from contextlib import suppress
from datetime import datetime

from pynamodb.exceptions import DeleteError

from quintet.store.clock import millis
from quintet.store.transactions import Write
from quintet.tasks.store.items import PartItem

_SHARDS = 8
_AT_ONCE = 100


def owe(subject: str, at: datetime) -> Write:
    item = PartItem(_list(subject), subject, rev=millis(at))
    return lambda tx: tx.save(item)


def paid(subject: str, at: datetime) -> None:
    """A debt made since `at` stays."""
    with suppress(DeleteError):
        PartItem(_list(subject), subject).delete(condition=PartItem.rev <= millis(at))


def since(before: datetime) -> list[str]:
    """Whose debts were made before `before`."""
    found: list[str] = []
    for shard in range(_SHARDS):
        items = PartItem.query(f"debts#{shard}", filter_condition=PartItem.rev < millis(before), limit=_AT_ONCE)
        found += [item.part for item in items]
    return found


def _list(subject: str) -> str:
    # Ids end in random letters: so do the partitions' loads.
    return f"debts#{ord(subject[-1]) % _SHARDS}"
