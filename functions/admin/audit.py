"""Who did what: /admin/v1/audit."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from admin.access import Admin, Pages
from quintet.events import store as log
from quintet.events.model import AUDIT, Entry
from quintet.events.verifying import verify
from quintet.http.answers import Json
from quintet.http.cursors import foreign_cursor
from quintet.http.work import offload
from quintet.store.clock import iso
from quintet.store.pages import Paging

router = APIRouter(prefix="/admin/v1/audit")

MOST_ENTRIES = 20_000  # of one verification


@router.get("")
async def listed(paging: Pages, _admin: Admin) -> Json:
    """Newest first."""
    entries = await offload(_page, paging)
    cursor = str(entries[-1].seq) if entries and entries[-1].seq > 1 else None
    return Json({"audit": [_shown(entry) for entry in entries], "next_cursor": cursor})


@router.get("/verify")
async def verified(_admin: Admin, after: Annotated[int, Query(ge=0)] = 0) -> Json:
    """Of a long log the answer's `next` says where to go on: `?after=` that number."""
    verdict = await offload(verify, log, AUDIT, after, MOST_ENTRIES)
    broken = {"seq": verdict.broken, "reason": verdict.why} if verdict.broken is not None else None
    more = broken is None and verdict.verified < verdict.head
    return Json(
        {
            "valid": broken is None,
            "verified_up_to": verdict.verified,
            "head": verdict.head,
            "broken": broken,
            "next": verdict.verified if more else None,
        }
    )


def _page(paging: Paging) -> list[Entry]:
    if paging.after is not None and not paging.after.isdigit():
        raise foreign_cursor()
    newest = (int(paging.after) - 1 if paging.after else log.head(AUDIT).seq) - paging.offset
    oldest = max(0, newest - paging.limit)
    entries = log.read(AUDIT, oldest, newest - oldest).entries if newest > oldest else []
    return entries[::-1]


def _shown(entry: Entry) -> dict[str, Any]:
    event = entry.event
    return {
        "seq": entry.seq,
        "id": event.id,
        "timestamp": iso(event.at),
        "actor": event.actor,
        "action": event.type,
        "resource": event.subject,
        "details": event.data,
        "hash": entry.hash,
        "previous_hash": entry.previous,
    }
