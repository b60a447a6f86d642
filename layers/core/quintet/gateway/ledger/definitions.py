"""Which budgets bound a call, as far as this instance knows: what it has read is at most ten seconds old."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from quintet.gateway.ledger.model import Budget, Place, Scope, Window, budget_id, home_of
from quintet.gateway.ledger.store.known import Known
from quintet.gateway.model import Payer
from quintet.identity.recent import Recent

_KEEP_SECONDS = 10.0
_KEEP_SUBJECTS = 4096


class DefinitionStore(Protocol):
    """`store.budgets`."""

    async def known(self) -> Known: ...

    async def present(self, ids: Iterable[str], /) -> Mapping[str, Budget]: ...


class Definitions:
    """Of budgets on the caller's own account nothing need be known here: the account itself tells of them."""

    def __init__(self, store: DefinitionStore) -> None:
        self._store = store
        self._known: Recent[None, Known] = Recent(1, _KEEP_SECONDS)
        self._apart: Recent[tuple[Scope, str], tuple[Budget, ...]] = Recent(_KEEP_SUBJECTS, _KEEP_SECONDS)

    async def shared(self, provider: str, model: str) -> list[Budget]:
        """Those that every caller draws on."""
        wanted = {Scope.SYSTEM: "*", Scope.PROVIDER: provider, Scope.MODEL: model}
        return [budget for budget in (await self._read()).shared if wanted.get(budget.scope) == budget.subject]

    async def apart(self, payer: Payer) -> list[Budget]:
        """Those with a purse of their own that is not the caller's account, in the order in which they are taken."""
        scopes = (await self._read()).scopes
        subjects = []
        if Scope.PRINCIPAL in scopes and home_of(payer.principal) != Place("accounts", payer.account):
            subjects.append((Scope.PRINCIPAL, payer.principal))
        if Scope.TASK in scopes and payer.task:
            subjects.append((Scope.TASK, payer.task))
        if Scope.SESSION in scopes and payer.session:
            subjects.append((Scope.SESSION, payer.session))
        return await self._of(subjects) if subjects else []

    def forget(self) -> None:
        """After a change made here, and when a budget turns out to be gone."""
        self._known = Recent(1, _KEEP_SECONDS)
        self._apart = Recent(_KEEP_SUBJECTS, _KEEP_SECONDS)

    async def _read(self) -> Known:
        known = self._known.get(None)
        if known is None:
            known = await self._store.known()
            self._known.put(None, known)
        return known

    async def _of(self, subjects: Sequence[tuple[Scope, str]]) -> list[Budget]:
        unread = [each for each in subjects if self._apart.get(each) is None]
        if unread:
            ids = {
                (scope, subject, window): budget_id(scope, subject, window)
                for scope, subject in unread
                for window in Window
            }
            found = await self._store.present(ids.values())
            for scope, subject in unread:
                own = [found.get(ids[scope, subject, window]) for window in Window]
                self._apart.put((scope, subject), tuple(budget for budget in own if budget))
        return [budget for each in subjects for budget in self._apart.get(each) or ()]
