"""Where the records of model calls go: into the request's own record."""

from collections.abc import Mapping
from typing import Any

from quintet.gateway.model import Payer
from quintet.http.exchange import Exchange
from quintet.identity.model import Principal


class RequestJournal:
    """The calls of one request, in its record's facts as `calls`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def note(self, call: Mapping[str, Any]) -> None:
        self._exchange.facts.setdefault("calls", []).append(dict(call))


def payer_of(exchange: Exchange, caller: Principal, *, task: str | None = None, session: str | None = None) -> Payer:
    """The caller pays, as the exchange knows it."""

    async def confirm() -> int | None:
        if exchange.confirm is None:
            return caller.rev
        await exchange.confirm()
        known = exchange.caller
        return known.rev if isinstance(known, Principal) else None

    return Payer(
        principal=caller.id,
        account=caller.account,
        rev=caller.rev,
        key_id=caller.key_id,
        task=task,
        session=session,
        confirm=confirm,
    )
