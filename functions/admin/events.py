"""What happens in the gateway, live: /admin/v1/events."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from admin.access import Admin
from quintet.errors import Failure, invalid
from quintet.events.following import TableLog, follow
from quintet.events.model import GATEWAY, Entry
from quintet.http.exchange import Exchange, exchange_of
from quintet.http.sse import EventStream, frame
from quintet.store.clock import iso

router = APIRouter(prefix="/admin/v1/events")

_RETRY_MS = 1000
_LAST_WORDS = 10.0  # seconds that a Lambda keeps of its time: the stream ends by itself before it is cut
_SURE_SECONDS = 30.0  # how long a caller who was turned out may go on listening

LastId = Annotated[str | None, Header(alias="last-event-id", max_length=20)]


@router.get("")
async def events(
    request: Request,
    _admin: Admin,
    last_event_id: LastId = None,
    since: Annotated[str | None, Query(alias="last_event_id", max_length=20)] = None,
) -> EventStream:
    """From `Last-Event-ID` on, or from now on. It ends before its Lambda does: clients come back by themselves."""
    after = last_event_id or since
    if after is not None and not (after.isascii() and after.isdigit()):
        raise invalid("last-event-id", "Must be the id of an event of this stream")
    log = TableLog()
    start = int(after) if after else await log.last(GATEWAY)
    return EventStream(_frames(exchange_of(request), log, start), on_error=_broken)


async def _frames(exchange: Exchange, log: TableLog, after: int) -> AsyncGenerator[bytes, None]:
    yield _frame("connected", {"topic": GATEWAY, "after": after, "at": iso(exchange.at)}, after, retry_ms=_RETRY_MS)
    now = asyncio.get_running_loop().time
    life = exchange.patience(_LAST_WORDS)
    end = math.inf if life is None else now() + life
    while (left := end - now()) > 0:
        span = min(left, _SURE_SECONDS)
        async for reading in follow(log, GATEWAY, after, span):
            if reading.lost:
                first = reading.entries[0].seq if reading.entries else reading.head + 1
                yield _frame("discontinuity", {"after": after, "continues_at": first}, None)
            for entry in reading.entries:
                yield _told(entry)
            after = reading.entries[-1].seq if reading.entries else reading.head
        if exchange.confirm is not None:
            await exchange.confirm()
    yield _frame("reconnect", {"after": after}, after, retry_ms=_RETRY_MS)


def _told(entry: Entry) -> bytes:
    event = entry.event
    data = {"id": event.id, "seq": entry.seq, "type": event.type, "timestamp": iso(event.at), **event.data}
    return _frame(event.type, data, entry.seq)


def _frame(kind: str, data: dict[str, Any], seq: int | None, *, retry_ms: int | None = None) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return frame(text, event=kind, id=None if seq is None else str(seq), retry_ms=retry_ms)


def _broken(failure: Failure) -> bytes:
    return frame(json.dumps({"error": {"message": failure.message, "type": failure.kind.value}}), event="error")
