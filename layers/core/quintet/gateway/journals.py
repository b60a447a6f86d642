"""Where the records of model calls go: into the request's own record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quintet.errors import Failure
from quintet.gateway.model import Payer
from quintet.http.dialects import dialect_of
from quintet.http.exchange import Exchange
from quintet.identity.model import Principal
from quintet.store.clock import Clock, SystemClock
from quintet.store.ids import new_id
from quintet.telemetry.requests import record


class RequestJournal:
    """The calls of one request, in its record's facts as `calls`; choices that led to none as `undecided`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def note(self, call: Mapping[str, Any]) -> None:
        self._exchange.facts.setdefault("calls", []).append(dict(call))

    def undecided(self, choice: Mapping[str, Any]) -> None:
        self._exchange.facts.setdefault("undecided", []).append(dict(choice))


def payer_of(exchange: Exchange, caller: Principal, *, task: str | None = None, session: str | None = None) -> Payer:
    """The caller pays, as the exchange knows it."""

    async def confirm() -> int | None:
        if exchange.confirm is None:
            return caller.rev
        await exchange.confirm()
        known = exchange.caller
        return known.rev if isinstance(known, Principal) else None

    return Payer(
        principal=caller.answerable,
        account=caller.account,
        rev=caller.rev,
        key_id=caller.key_id,
        task=task,
        session=session,
        confirm=confirm,
    )


class WorkJournal:
    """The calls of work that no request asked for: a state machine's step, a queue's message, a schedule's tick.

        async with WorkJournal("workflow", "plan", principal=task.owner) as journal:
            await gateway.complete(ask, terms, payer, journal, call_id=...)

    Leaving the block writes one record to the request log, as a request would have; calls that were never made leave
    none. `group` is the function, `route` what it did: few words, not ids. Records under the same `record_id`, such as
    those of a repeated step, are one.
    """

    def __init__(
        self,
        group: str,
        route: str,
        *,
        principal: str | None = None,
        key_id: str | None = None,
        request_id: str | None = None,
        record_id: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        now = (clock or SystemClock()).now()
        self._exchange = Exchange(
            record_id=record_id or new_id("rec", now),
            request_id=request_id or new_id("req", now),
            group=group,
            method="WORK",
            path=f"/{route}",
            ip="",
            headers={},
            at=now,
            dialect=dialect_of("/"),
            route=route,
            caller=_Worker(principal, key_id) if principal else None,
        )
        self._closed = False

    @property
    def record_id(self) -> str:
        return self._exchange.record_id

    @property
    def facts(self) -> dict[str, Any]:
        """What else the record should tell."""
        return self._exchange.facts

    def note(self, call: Mapping[str, Any]) -> None:
        self._exchange.facts.setdefault("calls", []).append(dict(call))

    def undecided(self, choice: Mapping[str, Any]) -> None:
        self._exchange.facts.setdefault("undecided", []).append(dict(choice))

    async def close(self, status: int = 200) -> None:
        """`status` is what a request that ended like this would have been answered."""
        if self._closed:
            return
        self._closed = True
        self._exchange.status = status
        if self._exchange.facts:
            await record(self._exchange)

    async def __aenter__(self) -> "WorkJournal":
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Failure):
            self._exchange.failure = error
        await self.close(200 if error is None else 500)


@dataclass(frozen=True, slots=True)
class _Worker:
    id: str
    key_id: str | None
