"""/v1/tasks: create, read, list, change and cancel."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response

from quintet.errors import Failure, Kind, invalid
from quintet.http.answers import Figures, Json, envelope
from quintet.http.cursors import cursor_of, foreign_cursor, place_of
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.tasks import artifacts
from quintet.tasks.model import MOST_TAGS, Filters, Order, SortBy, Status
from quintet.tasks.store import pages, steps
from tasks import handing, services, shapes
from tasks.bodies import AnyStatus, Cancellation, NewTask, Priority, Role, TaskChange, Type

router = APIRouter(prefix="/v1/tasks")

Tag = Annotated[str | None, Header(max_length=128)]
Key = Annotated[str | None, Header(min_length=1, max_length=255)]
_PLACE = re.compile(r"\d\|-?\d{15,16}#[0-9a-z_]{1,80}", re.ASCII)
# What may not be taken away again: null says that a value is left as it is.
_NULLABLE = frozenset({"deadline", "assignee_role", "feedback"})


@router.post("")
async def create(
    new: NewTask,
    request: Request,
    caller: Annotated[Principal, Depends(permitted("create_task"))],
    idempotency_key: Key = None,
) -> Json:
    exchange = exchange_of(request)
    values = {name: value for name, value in new.given().items() if name != "auto_start"}
    handover = await handing.at_once(new)
    task = await services.tasks().create(values, services.actor(caller), handover, idempotency_key)
    exchange.facts["task"] = task.id
    headers = {"location": f"/v1/tasks/{task.id}", "etag": task.etag}
    return envelope(exchange, shapes.created(task), "Task created successfully", status=201, headers=headers)


@router.get("")
async def listed(
    request: Request,
    _caller: Annotated[Principal, Depends(permitted("read_tasks"))],
    status: AnyStatus | None = None,
    type: Type | None = None,  # noqa: A002 - the document's word
    priority: Priority | None = None,
    assignee_role: Role | None = None,
    created_by: Annotated[str | None, Query(min_length=1, max_length=255)] = None,
    tags: Annotated[str | None, Query(max_length=1100)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
    sort_by: SortBy = SortBy.CREATED,
    sort_order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
) -> Json:
    """`next_cursor` leads to the next page whatever happens in between; `offset` counts anew each time."""
    named = tuple(dict.fromkeys(word.strip() for word in (tags or "").split(",") if word.strip()))
    if len(named) > MOST_TAGS:
        issue = f"Must be at most {MOST_TAGS}: no task has more"
        raise invalid("tags", issue)
    filters = Filters(
        status=Status(status) if status else None,
        type=type,
        priority=priority,
        role=assignee_role,
        created_by=created_by,
        tags=named,
    )
    place = place_of(cursor)
    if place is not None and not _PLACE.fullmatch(place):
        raise foreign_cursor()
    page = await pages.page(filters, Order(sort_by, sort_order == "desc"), limit, offset, place)
    pagination = {
        "total": page.total,
        "limit": limit,
        "offset": offset,
        "has_more": page.after is not None,
        "next_cursor": cursor_of(page.after),
    }
    data = {"tasks": [shapes.listed(task) for task in page.tasks], "pagination": pagination}
    return envelope(exchange_of(request), data, "Tasks retrieved successfully", kind=Figures)


@router.get("/{task_id}")
async def one(
    task_id: str,
    request: Request,
    _caller: Annotated[Principal, Depends(permitted("read_tasks"))],
    if_none_match: Tag = None,
) -> Response:
    task = await services.tasks().get(task_id)
    if if_none_match is not None and not _tags(if_none_match).isdisjoint({task.etag, "*"}):
        return Response(status_code=304, headers={"etag": task.etag})
    return envelope(exchange_of(request), shapes.whole(task), headers={"etag": task.etag})


@router.get("/{task_id}/steps")
async def steps_of(
    task_id: str, request: Request, _caller: Annotated[Principal, Depends(permitted("read_tasks"))]
) -> Json:
    """What was done in the newest round. Large files are behind their `url`."""
    task = await services.tasks().get(task_id)
    done = await steps.of_round(task_id, task.round)
    works = [work for name, work in done.items() if name.startswith("work#")]
    data = {
        "task_id": task_id,
        "plan": done.get(steps.PLAN, {}).get("steps", []),
        "steps": [_with_urls(task_id, index, work) for index, work in enumerate(works)],
        "review": shapes.costed(done[steps.REVIEW]) if steps.REVIEW in done else None,
    }
    return envelope(exchange_of(request), data)


@router.get("/{task_id}/steps/{index}/files/{number}")
async def file_of(
    task_id: str,
    index: Annotated[int, Path(ge=0, le=999)],
    number: Annotated[int, Path(ge=0, le=999)],
    _caller: Annotated[Principal, Depends(permitted("read_tasks"))],
) -> Response:
    """The file itself: what a model wrote is shown as text, whatever it is, and as nothing else."""
    task = await services.tasks().get(task_id)
    files = (await steps.of_round(task_id, task.round)).get(steps.step_name(index), {}).get("files", [])
    if number >= len(files):
        raise Failure(Kind.NOT_FOUND, "There is no such file")
    headers = {"x-content-type-options": "nosniff", "content-disposition": "attachment"}
    content = await offload(artifacts.content_of, files[number])
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


@router.put("/{task_id}")
async def change(
    task_id: str,
    body: TaskChange,
    request: Request,
    caller: Annotated[Principal, Depends(permitted("update_task"))],
    if_match: Tag = None,
) -> Json:
    """What is left out stays as it is."""
    values: dict[str, Any] = {n: v for n, v in body.given().items() if v is not None or n in _NULLABLE}
    if not values:
        raise Failure(Kind.INVALID, "Nothing to change", details={"field": "body", "issue": "Nothing to change"})
    if "status" in values:
        values["status"] = Status(values["status"])
    if "progress" in values:
        made = values["progress"]
        values["progress"] = {"completed": made["completed_steps"], "total": made["total_steps"]}
    task = await services.tasks().update(task_id, values, services.actor(caller), _wanted(if_match))
    data = shapes.whole(task)
    return envelope(exchange_of(request), data, "Task updated successfully", headers={"etag": task.etag})


@router.delete("/{task_id}")
async def cancel(
    task_id: str,
    request: Request,
    caller: Annotated[Principal, Depends(permitted("cancel_task"))],
    body: Cancellation | None = None,
    if_match: Tag = None,
) -> Json:
    reason = body.reason if body else None
    task = await services.tasks().cancel(task_id, reason, services.actor(caller), _wanted(if_match))
    data = shapes.whole(task) | {"cancelled_at": shapes.moment(task.ended_at), "reason": task.error}
    return envelope(exchange_of(request), data, "Task cancelled successfully", headers={"etag": task.etag})


def _with_urls(task_id: str, index: int, work: dict[str, Any]) -> dict[str, Any]:
    files = [
        {name: value for name, value in file.items() if name != "artifact"}
        | {"url": f"/v1/tasks/{task_id}/steps/{index}/files/{number}"}
        for number, file in enumerate(work["files"])
    ]
    return shapes.costed({**work, "files": files})


def _wanted(if_match: str | None) -> frozenset[str] | None:
    return _tags(if_match) if if_match else None


def _tags(text: str) -> frozenset[str]:
    return frozenset(each.strip().removeprefix("W/") for each in text.split(","))
