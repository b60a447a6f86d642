"""The control panel: /api/status, /api/processes, /api/sessions, /api/feed."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from personas.access import onlooker
from personas.services import clock
from quintet.errors import Failure, Kind
from quintet.http.answers import Json
from quintet.http.cursors import cursor_of, place_of
from quintet.http.exchange import exchange_of
from quintet.personas.cast import cast
from quintet.personas.life.pulse import active_names, uptime
from quintet.personas.model import Post, Process, Session, Status
from quintet.personas.store import conversations, notebook, processes, pulse
from quintet.store.clock import iso

router = APIRouter(prefix="/api", dependencies=[Depends(onlooker)])

_MOST = 1000

Limit = Annotated[int, Query(ge=1, le=_MOST)]
Cursor = Annotated[str | None, Query(max_length=1024)]


@router.get("/status")
async def status(request: Request) -> Json:
    now = exchange_of(request).at
    running, calling, beat = await asyncio.gather(processes.count(now), conversations.count(now), pulse.read(now))
    return Json(
        {
            "status": "ok",
            "uptime": uptime(now - beat.since),
            "process_count": running,
            "session_count": calling,
            "personas": cast().names,
            "active_personas": active_names(cast(), beat, now),
        }
    )


@router.get("/processes")
async def all_processes(
    limit: Limit = _MOST, cursor: Cursor = None, status: Status | None = None, agent: str | None = None
) -> Json:
    """The newest first. More than one page is told of by the header X-Next-Cursor."""
    page = await processes.page(limit, place_of(cursor))
    now = clock.now()
    told = [shown(each, now) for each in page.items]
    kept = [each for each in told if status in (None, each["status"]) and agent in (None, each["agent"])]
    return Json(kept, headers=_next(page.after))


@router.get("/processes/{process_id}")
async def one_process(process_id: str) -> Json:
    found = await processes.get(process_id)
    if found is None:
        raise Failure(Kind.NOT_FOUND, "There is no process of this id")
    return Json(shown(found, clock.now()))


@router.get("/sessions")
async def all_sessions(limit: Limit = _MOST, cursor: Cursor = None) -> Json:
    """The latest to speak first."""
    page = await conversations.active(clock.now(), limit, place_of(cursor))
    return Json([_session(each) for each in page.items], headers=_next(page.after))


@router.get("/feed")
async def feed(
    limit: Annotated[int, Query(ge=1, le=100)] = 20, cursor: Cursor = None, persona: str | None = None
) -> Json:
    """What personas have posted, the newest first."""
    whose = None
    if persona is not None:
        found = cast().find(persona)
        if found is None:
            raise Failure(Kind.INVALID, f"persona: must be one of: {', '.join(cast().names)}")
        whose = found.id
    page = await notebook.feed(limit, place_of(cursor), whose)
    return Json({"posts": [_post(each) for each in page.items], "next_cursor": cursor_of(page.after)})


def shown(process: Process, now: Any) -> dict[str, Any]:
    metrics = process.metrics
    return {
        "id": process.id,
        "agent": process.agent,
        "name": process.name,
        "status": process.status_at(now).value,
        "task": process.task,
        "started_at": iso(process.started_at),
        "metrics": {
            "input_tokens": metrics.input_tokens,
            "output_tokens": metrics.output_tokens,
            "total_tokens": metrics.input_tokens + metrics.output_tokens,
            "llm_calls": metrics.llm_calls,
            "tool_calls": metrics.tool_calls,
            "estimated_cost": metrics.cost_usd,
            "duration_ms": max(0, round(process.lasted(now).total_seconds() * 1000)),
        },
    }


def _session(session: Session) -> dict[str, Any]:
    persona = cast().find(session.agent)
    return {
        "caller_id": session.caller_id,
        "process_id": session.process_id,
        "agent": persona.name if persona else session.agent,
        "status": Status.RUNNING.value,
    }


def _post(post: Post) -> dict[str, Any]:
    persona = cast().find(post.persona)
    return {
        "id": post.id,
        "persona": persona.name if persona else post.persona,
        "text": post.text,
        "created_at": iso(post.at),
    }


def _next(place: str | None) -> dict[str, str]:
    cursor = cursor_of(place)
    return {"x-next-cursor": cursor} if cursor else {}
