"""The direct way to plain routes: FastAPI meets every request as if its route could be anything, for 0.2 ms each.

A route is plain when its path has nothing to fill in and its endpoint asks for no more than a body of JSON, the
request, and what coroutine functions find out from the request alone. All others go FastAPI's way, and so does a body
that does not fit: what is wrong with it is said in one place.
"""

from collections.abc import Awaitable, Callable, Iterable
from inspect import Parameter, iscoroutinefunction, signature
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quintet.errors import Failure
from quintet.http.exchange import exchange_of

FindOut = Callable[[Request], Awaitable[Any]]


class _Plain(NamedTuple):
    """A route's endpoint, and the names under which it asks for what."""

    route: APIRoute
    endpoint: Callable[..., Awaitable[Response]]
    requests: list[str]
    found_out: dict[str, FindOut]
    bodies: dict[str, type[BaseModel]]  # one at most


class Direct:
    def __init__(self, app: ASGIApp, routes: Iterable[Route], as_failure: Callable[[Exception], Failure]) -> None:
        self._app = app
        self._as_failure = as_failure
        self._routes = list(routes)
        self._places = {(method, route.path) for route in self._routes for method in route.methods or ()}
        self._looked_at: dict[tuple[str, str], _Plain | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = self._plain(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if plain is None:
            await self._app(scope, receive, send)
            return
        given: dict[str, Any] = {}
        again = receive
        for name, model in plain.bodies.items():
            whole = await _whole(receive)
            again = _again(whole, receive)
            body = _read(exchange_of(scope).headers.get("content-type", ""), whole, model)
            if body is None:
                await self._app(scope, again, send)
                return
            given[name] = body
        request = Request(scope, again, send)
        given.update(dict.fromkeys(plain.requests, request))
        scope["route"] = plain.route
        try:
            for name, find_out in plain.found_out.items():
                given[name] = await find_out(request)
            response = await plain.endpoint(**given)
        except (HTTPException, RequestValidationError) as error:
            raise self._as_failure(error) from error
        await response(scope, receive, send)

    def _plain(self, method: str, path: str) -> _Plain | None:
        """A route is looked at when it is first asked for, not while the function starts."""
        place = method, path
        if place not in self._places:
            return None
        if place not in self._looked_at:
            here = (each for each in self._routes if method in (each.methods or ()) and each.path_regex.match(path))
            self._looked_at[place] = _look_at(next(here))
        return self._looked_at[place]


def _look_at(route: Route) -> _Plain | None:
    endpoint = route.endpoint
    if not isinstance(route, APIRoute) or route.dependencies or route.param_convertors:
        return None
    hints = get_type_hints(endpoint, include_extras=True)
    answer = hints.get("return")
    if not iscoroutinefunction(endpoint) or not isinstance(answer, type) or not issubclass(answer, Response):
        return None
    plain = _Plain(route, endpoint, [], {}, {})
    for name, parameter in signature(endpoint).parameters.items():
        hint = hints.get(name)
        find_out = _dependency(hint)
        if parameter.default is not Parameter.empty:
            return None
        if hint is Request:
            plain.requests.append(name)
        elif find_out is not None:
            plain.found_out[name] = find_out
        elif isinstance(hint, type) and issubclass(hint, BaseModel) and not plain.bodies:
            plain.bodies[name] = hint
        else:
            return None
    return plain


def _dependency(hint: Any) -> FindOut | None:
    if get_origin(hint) is not Annotated:
        return None
    _, *told = get_args(hint)
    if len(told) != 1 or type(told[0]) is not Depends or not iscoroutinefunction(told[0].dependency):
        return None
    parameters = signature(told[0].dependency).parameters.values()
    return told[0].dependency if [each.annotation for each in parameters] == [Request] else None


def _read(media_type: str, whole: Message, model: type[BaseModel]) -> BaseModel | None:
    """None for what FastAPI has to look at."""
    if whole["type"] != "http.request" or media_type.partition(";")[0].strip().lower() != "application/json":
        return None
    try:
        return model.model_validate_json(whole["body"])
    except ValidationError:
        return None


async def _whole(receive: Receive) -> Message:
    """The body in one message, or that the caller has hung up. Starlette's way takes an asynchronous generator."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(pieces)}


def _again(first: Message, receive: Receive) -> Receive:
    """What has been received is received once more."""
    taken = False

    async def received() -> Message:
        nonlocal taken
        if taken:
            return await receive()
        taken = True
        return first

    return received
