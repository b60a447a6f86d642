"""What became of deliveries, and asking for them again."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict

from quintet.errors import Failure, Kind, invalid
from quintet.events import store as log
from quintet.events.model import Entry
from quintet.events.platform import PLATFORM
from quintet.events.times import stretch
from quintet.http.answers import Json, envelope
from quintet.http.exchange import exchange_of
from quintet.http.moments import Moment
from quintet.http.work import offload
from quintet.webhooks.model import Endpoint, Standing, Status, delivery_of
from quintet.webhooks.queue import Errand
from quintet.webhooks.store import deliveries as table
from webhooks.access import Manager, Reader, endpoints, may_read, queue, shown_delivery

router = APIRouter(prefix="/v1/webhooks/{webhook_id}")

_MOST_REPLAYED = 1000
_MOST_READ = 20_000  # entries of the log, most of which may be of no interest to the endpoint


class Range(BaseModel):
    """From `since` on, and before `until` if that is said."""

    model_config = ConfigDict(extra="forbid")

    since: Moment
    until: Moment | None = None


@router.get("/deliveries")
async def listed(
    webhook_id: str,
    request: Request,
    reader: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    status: Standing | None = None,
) -> Json:
    """Newest first."""
    endpoint = await endpoints.get(reader, webhook_id)
    page = await table.page(endpoint.id, limit, cursor, status)
    told = {"deliveries": [shown_delivery(each) for each in page.items], "next_cursor": page.after}
    return envelope(exchange_of(request), told)


@router.get("/deliveries/{delivery_id}")
async def one(webhook_id: str, delivery_id: str, request: Request, reader: Reader) -> Json:
    endpoint = await endpoints.get(reader, webhook_id)
    delivery = await table.find(endpoint.id, delivery_id)
    if delivery is None:
        raise Failure(Kind.NOT_FOUND, f"There is no delivery '{delivery_id}'")
    return envelope(exchange_of(request), shown_delivery(delivery))


@router.post("/deliveries/{delivery_id}/replay")
async def replay(webhook_id: str, delivery_id: str, request: Request, manager: Manager) -> Json:
    """The same event under the same webhook-id, tried anew for a day."""
    exchange = exchange_of(request)
    endpoint = await _active(manager, webhook_id)
    delivery = await table.find(endpoint.id, delivery_id)
    if delivery is None:
        raise Failure(Kind.NOT_FOUND, f"There is no delivery '{delivery_id}'")
    if delivery.standing is Standing.PENDING and delivery.next_at > exchange.at:
        raise Failure(Kind.CONFLICT, "This delivery is still being tried: it needs no replay")
    if not await table.ask_again(delivery, exchange.at):
        raise Failure(Kind.CONFLICT, "This delivery is just being tried: look at what comes of it first")
    await queue.send([Errand(endpoint.id, delivery.id)], exchange.at)
    return envelope(exchange, {"id": delivery.id, "status": "pending"}, "Delivery queued again", status=202)


@router.post("/replay")
async def replay_range(webhook_id: str, wanted: Range, request: Request, manager: Manager) -> Json:
    """Every event of that time that this endpoint wants, also those from before there was the endpoint."""
    exchange = exchange_of(request)
    until = wanted.until or exchange.at
    if wanted.since >= until:
        raise invalid("until", "Must be later than since")
    endpoint = await _active(manager, webhook_id)
    entries = await offload(_between, wanted.since, until, endpoint)
    errands = []
    for entry in entries:
        if not await may_read(endpoint, entry.event.needs):
            continue
        delivery = delivery_of(entry, endpoint, exchange.at)
        if not await table.add(delivery):
            await table.ask_again(delivery, exchange.at)
        errands.append(Errand(endpoint.id, delivery.id))
    await queue.send(errands, exchange.at)
    return envelope(exchange, {"queued": len(errands)}, "Deliveries queued again", status=202)


async def _active(manager: Manager, webhook_id: str) -> Endpoint:
    endpoint = await endpoints.get(manager, webhook_id)
    if endpoint.status is not Status.ACTIVE:
        raise Failure(Kind.CONFLICT, "This webhook is not active: set its status to active first")
    return endpoint


def _between(since: datetime, until: datetime, endpoint: Endpoint) -> list[Entry]:
    found: list[Entry] = []
    for read, entry in enumerate(stretch(log, PLATFORM, since, until)):
        if read >= _MOST_READ:
            raise invalid("until", f"Spans more than {_MOST_READ} events of the platform: ask for a shorter time")
        if since <= entry.event.at < until and endpoint.wants(entry.event.type):
            found.append(entry)
            if len(found) > _MOST_REPLAYED:
                issue = f"Holds more than {_MOST_REPLAYED} events: ask for a shorter time"
                raise invalid("until", issue)
    return found
