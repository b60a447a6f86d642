"""The gateway that functions use, put together once per process."""

from datetime import datetime
from functools import cache

from quintet.gateway import present
from quintet.gateway.calls import Ports
from quintet.gateway.catalogue import store
from quintet.gateway.core import Core
from quintet.gateway.keys import Keyring
from quintet.gateway.ledger.model import Reservation
from quintet.gateway.model import Gateway, Payer
from quintet.gateway.providers.kinds import provider
from quintet.gateway.vault.live import vault
from quintet.gateway.view import Views
from quintet.identity.store import registry
from quintet.identity.store.registry import Stale
from quintet.store.clock import SystemClock


@cache
def gateway() -> Gateway:
    return Core(views().current, Ports(_Standing(), present, provider, SystemClock(), views().forget))


@cache
def views() -> Views:
    """What this process knows; who edits the catalogue calls its `forget`."""
    return Views(present.read, store.read, Keyring(vault()))


class _Standing:
    """A ledger without budgets: it only notes that the caller still stands."""

    async def reserve(
        self, payer: Payer, call_id: str, bound: int, now: datetime, *_rest: float, **_names: str
    ) -> Reservation:
        try:
            await registry.confirm(payer.account, payer.rev, now)
        except Stale:
            if payer.confirm is None:
                raise
            await payer.confirm()
        return Reservation(call_id, bound, now)

    async def settle(self, reservation: Reservation, cost: int, /) -> None:
        pass

    async def release(self, reservation: Reservation, /) -> None:
        pass
