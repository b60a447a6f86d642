"""The ledger over its tables."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quintet.copies import own
from quintet.gateway.ledger.definitions import Definitions
from quintet.gateway.ledger.keeper import Keeper
from quintet.gateway.ledger.leases import Leases
from quintet.gateway.ledger.model import Ledger, Scope, State
from quintet.gateway.ledger.settling import Settling
from quintet.gateway.ledger.store import abandoned, known, purses
from quintet.gateway.ledger.telling import Telling

if TYPE_CHECKING:
    from quintet.gateway.ledger.budgets import Budgets


@own
def definitions() -> Definitions:
    return Definitions(known)


@own
def settling() -> Settling:
    return Settling(purses, abandoned)


@own
def ledger() -> Ledger:
    """This process's own."""
    return Keeper(purses, definitions(), Leases(purses), settling().give_up, Telling(_mark))


def _mark(*told: Any) -> None:
    from quintet.gateway.ledger.store import budgets

    budgets.told(*told)


@own
def control() -> "Budgets":
    """Sets budgets: what only spends them starts without it."""
    from quintet.events.audit import audited
    from quintet.gateway.ledger.budgets import Budgets
    from quintet.gateway.ledger.store import budgets

    return Budgets(budgets, purses.read, audited, definitions().forget)


async def states(now: datetime) -> list[State]:
    """How every budget stands that is not of a single task or session: for metrics."""
    return await control().all_states(now, [scope for scope in Scope if scope not in (Scope.TASK, Scope.SESSION)])


async def settle_records(records: Iterable[Mapping[str, Any]]) -> int:
    """For the request log's consumer: records as they are stored, as plain values. Telling them again does no harm.

    Answers how many reservations they closed. Raises when the batch should come again.
    """
    return await settling().settle_records(records)


async def sweep() -> int:
    """Closes the reservations of calls that died. For a schedule; a caller's own are closed when it next calls."""
    closed = 0
    for table in ("accounts", "budgets"):  # accounts first: they tell of what leases had to bear
        for shard in range(purses.HELD_SHARDS):
            closed += await settling().sweep(table, shard)
    return closed
