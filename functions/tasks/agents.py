"""/v1/agents: hand a task to an agent, see how a role is doing, and what it may do."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request

from quintet.configuration import live, store
from quintet.configuration.agents import document_name, schema
from quintet.configuration.model import Document, changed, values_of
from quintet.errors import Failure, Kind
from quintet.events.audit import audited
from quintet.gateway.live import views
from quintet.http.answers import Json, envelope
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.store.transactions import Unmet
from quintet.tasks.figures import figures
from quintet.tasks.model import ROLES
from tasks import handing, services, shapes
from tasks.bodies import Submission

router = APIRouter(prefix="/v1/agents")

_ATTEMPTS = 4
_SHOWN = ("role", "default_model", "capabilities", "preferences", "constraints", "escalation_rules")


async def known_role(role: str) -> str:
    if role not in ROLES:
        raise Failure(Kind.NOT_FOUND, f"There is no role '{role}'; there are: {', '.join(ROLES)}")
    return role


KnownRole = Annotated[str, Depends(known_role)]


@router.post("/{role}/submit")
async def submit(
    role: KnownRole,
    body: Submission,
    request: Request,
    caller: Annotated[Principal, Depends(permitted("submit_agent"))],
) -> Json:
    exchange = exchange_of(request)
    exchange.facts["task"] = body.task_id
    task = await services.tasks().get(body.task_id)
    preferences = body.preferences.model_dump(exclude_none=True)
    handover = await handing.over(task, role, body.context, preferences)
    task = await services.tasks().submit(body.task_id, handover, services.actor(caller))
    submission = task.submission
    assert submission is not None
    data = {
        "submission_id": submission.id,
        "task_id": task.id,
        "role": submission.role,
        "agent_id": submission.agent_id,
        "status": "accepted",
        "estimated_duration": submission.estimated_seconds,
        "model_assigned": submission.model,
        "submitted_at": shapes.moment(submission.at),
    }
    return envelope(exchange, data, "Task accepted", status=202)


@router.get("/{role}/status")
async def status(
    role: KnownRole, request: Request, _caller: Annotated[Principal, Depends(permitted("read_agents"))]
) -> Json:
    exchange = exchange_of(request)
    return envelope(exchange, await figures(role, exchange.at))


@router.get("/{role}/configuration")
async def configuration(
    role: KnownRole, request: Request, _caller: Annotated[Principal, Depends(permitted("read_agents"))]
) -> Json:
    return _answer(request, await _shown(role, await store.read(document_name(role))), "Agent configuration")


@router.put("/{role}/configuration")
async def configure(
    role: KnownRole,
    request: Request,
    given: Annotated[Any, Body()],
    caller: Annotated[Principal, Depends(permitted("configure_agents"))],
) -> Json:
    """What is not named stays as it is."""
    exchange, name = exchange_of(request), document_name(role)
    asked = request.headers.get("if-match")
    catalogue = (await views().current()).catalogue
    for _ in range(_ATTEMPTS):
        before = await store.read(name)
        if asked not in {None, "*", _etag(before)}:
            raise Failure(Kind.PRECONDITION_FAILED, "Somebody else has changed this configuration: read it again")
        after = changed(
            before, given, schema(role, await live.system(), catalogue.misnamed), at=exchange.at, by=caller.id
        )
        told = audited("configuration.changed", name, {"version": after.version, "change": given}, caller.id)
        try:
            await offload(store.write, after, told)
        except Unmet:
            continue
        live.keep(after)
        return _answer(request, await _shown(role, after), "Agent configuration updated")
    raise Failure(Kind.CONFLICT, "This configuration is being changed by others: try again", retry_after=1)


async def _shown(role: str, document: Document) -> tuple[dict[str, Any], str]:
    values = values_of(document, schema(role, await live.system()))
    view = await views().current()
    able = sorted(model.id for model in view.routable())
    system = await live.system()
    wanted = [values["default_model"], system["models"]["escalation_model"]]
    shown = {name: values[name] for name in _SHOWN}
    shown["available_models"] = list(dict.fromkeys([*wanted, *able]))
    shown["enabled"] = values["enabled"]
    return shown, _etag(document)


def _answer(request: Request, shown: tuple[dict[str, Any], str], message: str) -> Json:
    values, etag = shown
    return envelope(exchange_of(request), values, message, headers={"etag": etag})


def _etag(document: Document) -> str:
    return f'"{document.version}"'
