"""Endpoints: create, list, get, change, delete, test."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from quintet.events.model import Entry, Event
from quintet.http.answers import Json, envelope
from quintet.http.exchange import exchange_of
from quintet.store.ids import new_id
from quintet.webhooks.model import TEST, Endpoint, Standing, Status, delivery_of
from quintet.webhooks.queue import Errand
from quintet.webhooks.store import deliveries as delivery_table
from quintet.webhooks.store import gates as gate_table
from webhooks.access import Manager, Reader, delivering, endpoints, queue, shown, shown_attempt

router = APIRouter(prefix="/v1/webhooks")

_MOST_WAITING = 1000

Url = Annotated[str, Field(min_length=1, max_length=2048)]
Events = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=64)]
Secret = Annotated[str, Field(max_length=256)]
Description = Annotated[str, Field(max_length=500)]


class NewEndpoint(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: Url
    events: Events
    secret: Secret | None = Field(default=None, repr=False)
    description: Description = ""


class Changes(BaseModel):
    """`secret_overlap_seconds` is how long the old secret signs beside the new one."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    events: Events | None = None
    status: Literal["active", "paused"] | None = None
    secret: Secret | None = Field(default=None, repr=False)
    secret_overlap_seconds: int = Field(default=86_400, ge=0, le=30 * 86_400)
    description: Description | None = None


@router.post("")
async def create(new: NewEndpoint, request: Request, manager: Manager) -> Json:
    """A secret that we make is in this answer, and in no other."""
    exchange = exchange_of(request)
    endpoint = await endpoints.create(manager, new.url, new.events, new.secret, new.description, exchange.at)
    data = await _shown(endpoint)
    if new.secret is None:
        data["secret"] = endpoint.secret
    return envelope(exchange, data, "Webhook created", status=201, headers={"cache-control": "no-store"})


@router.get("")
async def listed(request: Request, reader: Reader) -> Json:
    """Newest first."""
    found = await endpoints.of(reader)
    shown = await asyncio.gather(*map(_shown, found))
    return envelope(exchange_of(request), {"webhooks": shown, "total": len(found)})


@router.get("/{webhook_id}")
async def one(webhook_id: str, request: Request, reader: Reader) -> Json:
    return envelope(exchange_of(request), await _shown(await endpoints.get(reader, webhook_id)))


@router.put("/{webhook_id}")
@router.patch("/{webhook_id}")
async def change(webhook_id: str, changes: Changes, request: Request, manager: Manager) -> Json:
    """What is not named stays. An endpoint that goes on after a pause gets what waited for it."""
    exchange = exchange_of(request)
    before = await endpoints.get(manager, webhook_id)
    given = changes.model_dump(exclude_none=True, exclude={"secret_overlap_seconds"})
    overlap = timedelta(seconds=changes.secret_overlap_seconds)
    after = await endpoints.change(manager, webhook_id, given, overlap, exchange.at)
    goes_on = after.status is Status.ACTIVE and before.status is not Status.ACTIVE
    if goes_on or after.url != before.url:
        await gate_table.forgive(webhook_id)
    if goes_on:
        await _what_waited(webhook_id, exchange.at)
    return envelope(exchange, await _shown(after), "Webhook updated")


@router.delete("/{webhook_id}")
async def delete(webhook_id: str, request: Request, manager: Manager) -> Json:
    removed = await endpoints.remove(manager, webhook_id)
    await gate_table.remove(removed.id)
    return envelope(exchange_of(request), {"id": removed.id, "deleted": True}, "Webhook deleted")


@router.post("/{webhook_id}/test")
async def test(webhook_id: str, request: Request, manager: Manager) -> Json:
    """Sends one event of the type `webhook.test` now, and answers what came of it."""
    exchange = exchange_of(request)
    endpoint = await endpoints.get(manager, webhook_id)
    data = {"webhook_id": endpoint.id, "message": "This is a test."}
    event = Event(new_id("evt", exchange.at), "", TEST, endpoint.id, exchange.at, data, "", manager.id)
    answered = await delivering().test(endpoint, delivery_of(Entry(0, event, ""), endpoint, exchange.at))
    told: dict[str, Any] = {"delivered": answered.delivered, "event_id": event.id, **shown_attempt(answered.attempt)}
    return envelope(exchange, told, "Test delivered" if answered.delivered else "Test not delivered")


async def _what_waited(webhook_id: str, now: datetime) -> None:
    """Each with its day before it again. What is more than that is found by the next look for lost ones."""
    waiting = await delivery_table.page(webhook_id, _MOST_WAITING, standing=Standing.PENDING)
    asked = await asyncio.gather(*(delivery_table.ask_again(each, now) for each in waiting.items))
    again = [Errand(webhook_id, each.id) for each, free in zip(waiting.items, asked, strict=True) if free]
    await queue.send(again, now)


async def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return shown(endpoint, await gate_table.read(endpoint.id))
