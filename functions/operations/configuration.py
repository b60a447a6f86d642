"""kyros.md's configuration of the system: what is in force, and changing it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request

from operations.figures import views
from quintet.configuration import agents, live, store
from quintet.configuration.model import SYSTEM, Document, changed, values_of
from quintet.configuration.system import schema
from quintet.errors import Failure, Kind
from quintet.events.audit import audited
from quintet.http.answers import Json, envelope
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.store.clock import iso
from quintet.store.transactions import Unmet

router = APIRouter(prefix="/v1/configuration")

Reader = Annotated[Principal, Depends(permitted("read_configuration"))]
Editor = Annotated[Principal, Depends(permitted("update_configuration"))]

_ATTEMPTS = 4
_SHOWN = ("role", "enabled", "default_model", "capabilities", "constraints", "preferences")


@router.get("")
async def read(request: Request, _reader: Reader) -> Json:
    return _answer(request, await store.read(SYSTEM), "Configuration in force")


@router.put("")
async def change(request: Request, editor: Editor, given: Annotated[Any, Body()]) -> Json:
    """What is not named stays as it is. `If-Match` refuses to change another version than the one that was read."""
    exchange = exchange_of(request)
    asked = request.headers.get("if-match")
    catalogue = (await views().current()).catalogue
    for _ in range(_ATTEMPTS):
        before = await store.read(SYSTEM)
        if asked not in {None, "*", _etag(before)}:
            raise Failure(Kind.PRECONDITION_FAILED, "Somebody else has changed the configuration: read it again")
        after = changed(before, given, schema(catalogue.misnamed), at=exchange.at, by=editor.id)
        told = audited("configuration.changed", SYSTEM, {"version": after.version, "change": given}, editor.id)
        try:
            await offload(store.write, after, told)
        except Unmet:
            continue
        live.keep(after)
        return _answer(request, after, "Configuration updated")
    raise Failure(Kind.CONFLICT, "The configuration is being changed by others: try again", retry_after=1)


@router.get("/versions")
async def versions(
    request: Request,
    _reader: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Json:
    """Newest first: who said what, and when."""
    found = await offload(store.versions, SYSTEM, limit, before)
    return envelope(exchange_of(request), {"versions": [_version(document) for document in found]})


@router.get("/agents/{role}")
async def agent(role: str, request: Request, _reader: Reader) -> Json:
    if role not in agents.ROLES:
        raise Failure(Kind.NOT_FOUND, f"There is no role '{role}'; there are: {', '.join(agents.ROLES)}")
    document, system = await store.read(agents.document_name(role)), await live.system()
    values = values_of(document, agents.schema(role, system))
    shown = {name: values[name] for name in _SHOWN}
    return envelope(exchange_of(request), shown, "Agent configuration", headers={"etag": _etag(document)})


def _answer(request: Request, document: Document, message: str) -> Json:
    values = values_of(document, schema())
    return envelope(exchange_of(request), values, message, headers={"etag": _etag(document)})


def _version(document: Document) -> dict[str, Any]:
    at = iso(document.at) if document.at else None
    return {"version": document.version, "changed_at": at, "changed_by": document.by, "changed": document.changed}


def _etag(document: Document) -> str:
    return f'"{document.version}"'
