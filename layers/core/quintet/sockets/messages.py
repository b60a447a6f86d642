"""A message as a request of its own: its caller counted against the limits, its record kept."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from quintet.errors import Failure, Kind
from quintet.http.exchange import Exchange, Recorder
from quintet.identity.door import Door
from quintet.sockets.dispatch import ROUTES
from quintet.sockets.model import Connection, Gone
from quintet.store.clock import Clock, SystemClock
from quintet.store.ids import new_id

_METHOD = "MESSAGE"

log = logging.getLogger("quintet.sockets")


@dataclass(frozen=True, slots=True)
class Messages:
    """`door` counts, `recorder` keeps the records."""

    door: Door
    recorder: Recorder
    clock: Clock = field(default_factory=SystemClock)

    @asynccontextmanager
    async def admitted(
        self, connection: Connection, group: str, *, request_id: str | None = None
    ) -> AsyncIterator[Exchange]:
        """Raises Failure when the caller no longer stands, or asks too often. `group` names the function whose work it
        is in the request log.

        A Failure that leaves the block is noted in the record; whoever catches one inside sets `exchange.failure`.
        """
        now = self.clock.now()
        path, dialect = ROUTES[connection.protocol]
        exchange = Exchange(
            record_id=new_id("rec", now),
            request_id=request_id or new_id("req", now),
            group=group,
            method=_METHOD,
            path=path,
            route=path,
            ip=connection.ip,
            headers={},
            at=now,
            dialect=dialect,
        )
        try:
            await self.door.readmit(exchange, connection.principal)
            yield exchange
        except Failure as failure:
            exchange.failure = failure
            raise
        except Gone:
            exchange.facts.setdefault("cut_short", True)
            raise
        except Exception:
            exchange.failure = Failure(Kind.INTERNAL, "Internal server error")
            raise
        except BaseException:
            exchange.facts.setdefault("cut_short", True)
            raise
        finally:
            exchange.status = dialect.status(exchange.failure) if exchange.failure else 200
            await self._record(exchange)

    async def _record(self, exchange: Exchange) -> None:
        try:
            await self.recorder(exchange)
        except Exception:
            log.exception("request record lost", extra={"request_id": exchange.request_id})
