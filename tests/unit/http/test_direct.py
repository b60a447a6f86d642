"""Plain routes are served without FastAPI; all that is not plain, and each body that does not fit, is left to it."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, Query
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quintet.errors import Failure, Kind
from quintet.http.answers import Json
from quintet.http.direct import Direct
from quintet.http.exchange import open_exchange
from quintet.store.clock import SystemClock
from tests.asgi import ask, scope
from tests.loops import on_a_loop

JSON = {"Content-Type": "application/json"}


class Order(BaseModel):
    size: int


async def tenant(request: Request) -> str:
    return request.headers.get("x-tenant", "nobody")


def in_a_thread(request: Request) -> str:
    return "slow"


async def of_a_query(size: int) -> int:
    return size


Tenant = Annotated[str, Depends(tenant)]
router = APIRouter()
guarded = APIRouter(dependencies=[Depends(tenant)])


@router.post("/orders")
async def order(order: Order, by: Tenant, request: Request) -> Json:
    return Json({"size": order.size, "by": by, "path": request.url.path, "sent": len(await request.body())})


@router.get("/orders")
async def orders() -> Response:
    return Response(b"none", headers={"x-count": "0"})


@router.get("/teapot")
async def teapot() -> Json:
    raise HTTPException(418)


@router.get("/orders/{number}")
async def one(number: int) -> Json:
    return Json(number)


@router.get("/orders/last")
async def hidden() -> Json:
    return Json("last")


@router.get("/query")
async def query(size: Annotated[int, Query()]) -> Json:
    return Json(size)


@router.post("/optional")
async def optional(order: Order | None = None) -> Json:
    return Json(None)


@router.post("/two")
async def two(first: Order, second: Order) -> Json:
    return Json(None)


@router.post("/embedded")
async def embedded(order: Annotated[Order, Body(embed=True)]) -> Json:
    return Json(None)


@router.get("/model")
async def model() -> Order:
    return Order(size=1)


@router.get("/blocking")
def blocking() -> Json:
    return Json(None)


@router.get("/thread")
async def thread(by: Annotated[str, Depends(in_a_thread)]) -> Json:
    return Json(by)


@router.get("/deep")
async def deep(by: Annotated[int, Depends(of_a_query)]) -> Json:
    return Json(by)


@guarded.get("/guarded")
async def behind() -> Json:
    return Json(None)


async def fastapi(scope: Any, receive: Any, send: Any) -> None:
    """In its place: tells what it is given."""
    message = await receive()
    await Json({"left to": message["type"], "body": message.get("body", b"").decode()})(scope, receive, send)


def failure(error: Exception) -> Failure:
    assert isinstance(error, HTTPException)
    return Failure(Kind.INTERNAL, str(error.status_code))


direct = Direct(fastapi, [each for one in (router, guarded) for each in one.routes if isinstance(each, Route)], failure)


async def app(scope_: Any, receive: Any, send: Any) -> None:
    open_exchange(scope_, "test", SystemClock().now())
    await direct(scope_, receive, send)


async def left(method: str, path: str, body: bytes, headers: Any) -> None:
    answer = await ask(app, method, path, body=body, headers=headers)
    assert answer.json() == {"left to": "http.request", "body": body.decode()}


@on_a_loop
async def test_a_plain_route_gets_what_it_asks_for() -> None:
    answer = await ask(app, "POST", "/orders", headers={**JSON, "X-Tenant": "a"}, body=b'{"size":7}', pieces=3)
    assert answer.json() == {"size": 7, "by": "a", "path": "/orders", "sent": 10}
    answer = await ask(app, "GET", "/orders")
    assert (answer.body, answer.headers["x-count"]) == (b"none", "0")


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON", " application/json "]
)
@on_a_loop
async def test_json_is_json_however_its_type_is_spelt(media_type: str) -> None:
    answer = await ask(app, "POST", "/orders", headers={"Content-Type": media_type}, body=b'{"size":7}')
    assert answer.json()["size"] == 7


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"size":"many"}', b"[" * 20_000])
@on_a_loop
async def test_a_body_that_does_not_fit_is_left_to_fastapi_whole(body: bytes) -> None:
    await left("POST", "/orders", body, JSON)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/vnd.a+json"}])
@on_a_loop
async def test_so_is_one_of_another_type(headers: Any) -> None:
    await left("POST", "/orders", b'{"size":7}', headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/orders"),
        ("GET", "/nowhere"),
        ("GET", "/orders/7"),
        ("GET", "/orders/last"),  # another route has it first
        ("GET", "/query"),
        ("POST", "/optional"),
        ("POST", "/two"),
        ("POST", "/embedded"),
        ("GET", "/model"),
        ("GET", "/blocking"),
        ("GET", "/thread"),
        ("GET", "/deep"),
        ("GET", "/guarded"),
    ],
)
@on_a_loop
async def test_what_is_not_plain_is_left_to_fastapi(method: str, path: str) -> None:
    await left(method, path, b'{"size":7}', JSON)


@on_a_loop
async def test_a_caller_who_hangs_up_midway_is_left_to_fastapi() -> None:
    said: list[Any] = []

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    await app(scope("POST", "/orders", JSON), gone, send)
    assert b'"left to":"http.disconnect"' in said[-1]["body"]


@on_a_loop
async def test_what_the_framework_raises_is_a_failure_of_ours() -> None:
    with pytest.raises(Failure, match="418"):
        await ask(app, "GET", "/teapot")
