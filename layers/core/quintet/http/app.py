"""The app factory: FastAPI for one function's routes inside the frame that all functions share."""

import quintet.http.lean  # noqa: F401 - importing it is all there is to do

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from quintet.errors import Failure, Kind
from quintet.http.answers import refusal
from quintet.http.direct import Direct
from quintet.http.edge import Edge
from quintet.http.exchange import Exchange, Gate, Recorder, exchange_of
from quintet.store.clock import Clock, SystemClock

_NO_OBJECT = frozenset({"model_attributes_type", "model_type", "dict_type"})


def create_app(
    group: str,
    routers: Iterable[APIRouter],
    *,
    gate: Gate,
    recorder: Recorder,
    clock: Clock | None = None,
) -> Edge:
    app = _Routes(
        title=f"quintet {group}",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=dict.fromkeys((Failure, HTTPException, RequestValidationError), _refuse),
    )
    for router in routers:
        app.include_router(router)
        app.known += [route for route in router.routes if isinstance(route, Route)]
    return Edge(Direct(app, app.known, as_failure), group, gate, recorder, clock or SystemClock(), app.template)


class _Routes(FastAPI):
    """FastAPI without its outer middlewares: the edge answers what its routes do not handle, and bounds the body."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.known: list[Route] = []

    def allowed(self, path: str) -> str:
        """Of all routes of a path: the framework names the methods of the first alone."""
        return ", ".join(
            sorted({name for each in self.known if each.path_regex.match(path) for name in each.methods or ()})
        )

    def template(self, path: str) -> str:
        """Empty for a path that has no route."""
        return next((each.path for each in self.known if each.path_regex.match(path)), "")

    def build_middleware_stack(self) -> ASGIApp:
        return ExceptionMiddleware(AsyncExitStackMiddleware(self.router), handlers=self.exception_handlers)


async def exchange(request: Request) -> Exchange:
    return exchange_of(request)


async def _refuse(request: Request, error: Exception) -> Any:
    if isinstance(error, HTTPException) and error.status_code == 405:
        error.headers = {"allow": request.app.allowed(request.scope["path"])}
    return refusal(exchange_of(request), as_failure(error))


def as_failure(error: Exception) -> Failure:
    """What a framework's exception means in our words."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, RequestValidationError):
        return _validation(error)
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        if error.status_code == 404:
            return Failure(Kind.NOT_FOUND, "There is nothing at this path")
        if error.status_code == 405:
            return Failure(Kind.METHOD_NOT_ALLOWED, "This method is not allowed here", headers=headers)
        if isinstance(error.__cause__, Failure):
            return error.__cause__  # raised while the framework was reading the body
        if isinstance(error.__cause__, RecursionError):
            return Failure(Kind.MALFORMED, "The request body is nested too deeply")
        if error.status_code == 400:
            return Failure(Kind.MALFORMED, "The request body could not be read: it must be JSON in UTF-8")
    return Failure(Kind.INTERNAL, "Internal server error")


def _validation(error: RequestValidationError) -> Failure:
    """Names the first field that is wrong, by its path; never echoes the value, which may be a secret."""
    first: dict[str, Any] = next(iter(error.errors()), {"type": "unknown", "loc": (), "msg": "Invalid request"})
    if first["type"] == "json_invalid":
        return Failure(
            Kind.MALFORMED, "The request body is not valid JSON", details={"field": "body", "issue": "not valid JSON"}
        )
    place = [str(part) for part in first["loc"]]
    field = ".".join(place[1:] if len(place) > 1 and place[0] in {"body", "query", "path", "header"} else place)
    if place == ["body"] and first["type"] in _NO_OBJECT:
        issue = "Must be a JSON object, sent as Content-Type: application/json"
    elif first["type"] == "missing":
        issue = "Field required"
    elif first["type"] in {"literal_error", "enum"}:
        issue = "Must be one of: " + str(first.get("ctx", {}).get("expected", "")).replace("'", "").replace(
            " or ", ", "
        )
    else:
        issue = str(first["msg"]).removeprefix("Value error, ")
    return Failure(Kind.INVALID, f"{field}: {issue}" if field else issue, details={"field": field, "issue": issue})
