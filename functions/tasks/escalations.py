"""/v1/escalation and /v1/escalations: ask that a task may run again on a better model, and decide on it."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from quintet.errors import invalid
from quintet.gateway.model import NANO
from quintet.http.answers import Json, envelope
from quintet.http.exchange import exchange_of
from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.tasks.escalating import Wish
from quintet.tasks.escalation import Escalation, Stage
from quintet.tasks.store import escalations as table
from tasks import services, shapes
from tasks.bodies import Decision, EscalationRequest

router = APIRouter(prefix="/v1")

_LAST = time(23, 59, 59, 999_000)


@router.post("/escalation/submit")
async def submit(
    body: EscalationRequest,
    request: Request,
    caller: Annotated[Principal, Depends(permitted("request_escalation"))],
) -> Json:
    exchange = exchange_of(request)
    exchange.facts["task"] = body.task_id
    wish = Wish(
        body.reason,
        body.original_model,
        body.target_model,
        None if body.estimated_cost is None else round(body.estimated_cost * NANO),
        body.priority,
        body.context,
    )
    escalation = await services.escalations().submit(body.task_id, wish, services.actor(caller))
    data = {
        "escalation_id": escalation.id,
        "task_id": escalation.task_id,
        "status": str(escalation.status),
        "submitted_at": shapes.moment(escalation.submitted_at),
        "estimated_cost": shapes.dollars(escalation.estimated_cost),
        "approval_required": escalation.approval_required,
        "workflow_id": escalation.workflow_id,
    }
    return envelope(exchange, data, "Escalation submitted", status=201)


@router.post("/escalation/{escalation_id}/approve")
async def decide(
    escalation_id: str,
    body: Decision,
    request: Request,
    caller: Annotated[Principal, Depends(permitted("approve_escalation"))],
) -> Json:
    """Approves or rejects: `decision` says which."""
    approved = body.decision == "approved"
    escalation = await services.escalations().decide(
        escalation_id, approved, services.actor(caller), body.reason, body.approver_comments
    )
    return envelope(exchange_of(request), _shown(escalation), f"Escalation {body.decision}")


@router.get("/escalation/{escalation_id}/status")
async def status(
    escalation_id: str, request: Request, _caller: Annotated[Principal, Depends(permitted("read_escalations"))]
) -> Json:
    return envelope(exchange_of(request), _shown(await services.escalations().get(escalation_id)))


@router.get("/escalations")
async def listed(
    request: Request,
    _caller: Annotated[Principal, Depends(permitted("read_escalations"))],
    status: Literal["pending", "pending_approval", "approved", "rejected", "completed", "expired"] | None = None,
    task_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    from_date: Annotated[str | None, Query(max_length=40)] = None,
    to_date: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> Json:
    """Newest first. A date without a time is the whole day, in UTC."""
    stage = {"pending": Stage.PENDING}.get(status or "") or (Stage(status) if status else None)
    since, until = _moment("from_date", from_date, last=False), _moment("to_date", to_date, last=True)
    if since is not None and until is not None and since > until:
        raise invalid("from_date", "Must not be after to_date")
    found, total = await table.page(
        status=stage,
        task_id=task_id,
        since=since,
        until=until,
        limit=limit,
        offset=offset,
    )
    pagination = {"total": total, "limit": limit, "offset": offset, "has_more": offset + len(found) < total}
    data = {"escalations": [_shown(each) for each in found], "pagination": pagination}
    return envelope(exchange_of(request), data)


def _moment(field: str, text: str | None, *, last: bool) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), _LAST if last else time(), UTC)
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        raise invalid(field, "Must be a date, or a date and time in ISO 8601") from None


def _shown(escalation: Escalation) -> dict[str, Any]:
    approved = escalation.status in {Stage.APPROVED, Stage.COMPLETED}
    return {
        "escalation_id": escalation.id,
        "task_id": escalation.task_id,
        "status": str(escalation.status),
        "original_model": escalation.original_model,
        "target_model": escalation.target_model,
        "reason": escalation.reason,
        "priority": escalation.priority,
        "requested_by": escalation.requested_by,
        "submitted_at": shapes.moment(escalation.submitted_at),
        "expires_at": shapes.moment(escalation.expires_at),
        "approved_at": shapes.moment(escalation.decided_at) if approved else None,
        "approved_by": escalation.decided_by if approved else None,
        "decided_at": shapes.moment(escalation.decided_at),
        "decided_by": escalation.decided_by,
        "decision_reason": escalation.decision_reason,
        "approver_comments": escalation.comments,
        "approval_required": escalation.approval_required,
        "estimated_cost": shapes.dollars(escalation.estimated_cost),
        "actual_cost": None if escalation.actual_cost is None else shapes.dollars(escalation.actual_cost),
        "result": escalation.result,
        "workflow_id": escalation.workflow_id,
    }
