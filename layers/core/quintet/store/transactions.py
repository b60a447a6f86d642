"""Several writes as one: all of them happen or none, also when somebody else is writing at the same moment."""

import random
import time
import uuid
from collections.abc import Callable, Iterable

from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from quintet.store.tables import connection

Write = Callable[[TransactWrite], None]
"""One part of a transaction: `lambda tx: tx.save(item, condition=...)`."""

_ATTEMPTS = 8
_TRANSIENT = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


class Unmet(Exception):  # noqa: N818 - an outcome, not an error: somebody else was first
    """A condition did not hold. `index` is the place of the first such write among those given."""

    def __init__(self, index: int) -> None:
        super().__init__(f"the condition of write {index} was not met")
        self.index = index


def write_together(writes: Iterable[Write]) -> None:
    """Retries what DynamoDB cancels for contention, with jitter; the token makes a lost answer harmless.

    Raises Unmet when a condition fails.
    """
    parts = list(writes)
    token = str(uuid.uuid4())
    for attempt in range(_ATTEMPTS):
        transaction = TransactWrite(connection=connection(), client_request_token=token)
        order = _fill(transaction, parts)
        try:
            with transaction:
                pass  # leaving the block commits
        except TransactWriteError as error:
            codes = [reason.code if reason else "None" for reason in error.cancellation_reasons]
            unmet = [order[place] for place, code in enumerate(codes) if code == "ConditionalCheckFailed"]
            if unmet:
                raise Unmet(min(unmet)) from error
            if attempt == _ATTEMPTS - 1 or not _TRANSIENT.intersection(codes):
                raise
            time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - jitter, not a secret
        else:
            return


def _fill(transaction: TransactWrite, parts: list[Write]) -> list[int]:
    """PynamoDB sends checks, deletes, puts, updates in that order: answers which part stands at which place."""
    queues = (
        transaction._condition_check_items,  # noqa: SLF001
        transaction._delete_items,  # noqa: SLF001
        transaction._put_items,  # noqa: SLF001
        transaction._update_items,  # noqa: SLF001
    )
    order: list[list[int]] = [[], [], [], []]
    for index, part in enumerate(parts):
        sizes = [len(queue) for queue in queues]
        part(transaction)
        for queue, size, places in zip(queues, sizes, order, strict=True):
            places.extend([index] * (len(queue) - size))
    return [index for places in order for index in places]
