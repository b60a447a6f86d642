"""The event that a budget is exhausted: once in a window of it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from quintet.errors import Failure
from quintet.gateway.ledger.model import Budget
from quintet.http.work import offload
from quintet.identity.recent import Recent

Mark = Callable[..., None]
"""`store.budgets.told`: marks the window and tells in one transaction. Raises Unmet when it was told already."""


class Telling:
    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._done: Recent[tuple[str, int], bool] = Recent(4096, 3600.0)

    async def __call__(self, budget: Budget, number: int, failure: Failure, now: datetime) -> None:
        if self._done.get((budget.id, number)):
            return
        # Seldom, and never for a caller that may spend: a start need not pay for it.
        from quintet.events.platform import platform_event
        from quintet.events.store import outbox
        from quintet.store.transactions import Unmet

        data = {"budget_id": budget.id, **failure.details}
        event = outbox(platform_event("budget.exhausted", budget.id, data, now=now))
        with suppress(Unmet):
            await offload(self._mark, budget, number, event)
        self._done.put((budget.id, number), True)
