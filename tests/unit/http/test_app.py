"""A function's routes in the common frame: what a framework refuses is refused in the path's own words."""

from quintet.http.app import create_app, exchange

import json
import threading
from typing import Annotated, Any, Literal

import pytest
from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, BaseModel, Field
from starlette.exceptions import HTTPException

from quintet.errors import Failure, Kind
from quintet.http.answers import Figures, Json, envelope
from quintet.http.edge import Edge
from quintet.http.exchange import Exchange
from tests.asgi import ask
from tests.loops import on_a_loop


def _not_blank(line: str) -> str:
    if not line.strip():
        raise ValueError("Must not be blank")
    return line


class Place(BaseModel):
    lines: list[Annotated[str, AfterValidator(_not_blank)]]


class Task(BaseModel):
    title: str = Field(max_length=10)
    priority: Literal["low", "medium", "high", "critical"] = "medium"
    place: Place | None = None


def app() -> Edge:
    router = APIRouter()

    @router.post("/v1/tasks")
    async def create(task: Task, asked: Annotated[Exchange, Depends(exchange)]) -> Json:
        return envelope(asked, task.model_dump(), "Task created", status=201)

    @router.get("/v1/tasks/{task_id}")
    async def one(task_id: str, limit: int = 10) -> Json:
        raise Failure(Kind.NOT_FOUND, f"Task {task_id} not found", code="TASK_NOT_FOUND")

    @router.post("/step")
    async def step(request: Request) -> Json:
        return Json(await request.json())

    @router.delete("/v1/tasks/{task_id}")
    async def cancel(task_id: str) -> Json:
        return Json(task_id)

    @router.get("/v1/refused")
    async def refused() -> Json:
        raise HTTPException(418, "s3cret")

    @router.get("/v1/threads")
    async def threads(asked: Annotated[Exchange, Depends(exchange)]) -> Json:
        return Json({"group": asked.group, "thread": threading.get_ident()})

    @router.get("/v1/nan")
    async def nan() -> Json:
        return Json(float("nan"))

    async def gate(_exchange: Exchange) -> None: ...

    async def record(_exchange: Exchange) -> None: ...

    return create_app("tasks", [router], gate=gate, recorder=record)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/step", "/step"),
        ("GET", "/v1/tasks/s3cret", "/v1/tasks/{task_id}"),
        ("GET", "/v1/no/such", "unmatched"),
    ],
)
@on_a_loop
async def test_who_is_turned_away_at_the_gate_is_recorded_at_the_path_they_came_for(
    method: str, path: str, route: str
) -> None:
    recorded: list[Exchange] = []

    async def gate(_exchange: Exchange) -> None:
        raise Failure(Kind.LIMITED, "Rate limit exceeded")

    async def record(exchange: Exchange) -> None:
        recorded.append(exchange)

    edge = app()
    edge.gate, edge.recorder = gate, record
    assert (await ask(edge, method, path)).status == 429
    assert [each.route for each in recorded] == [route]


def posted(body: Any) -> dict[str, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {"headers": {"Content-Type": "application/json"}, "body": content}


@on_a_loop
async def test_answers_in_kyross_envelope() -> None:
    answer = await ask(app(), "POST", "/v1/tasks", **posted({"title": "é"}))
    told = answer.json()
    assert answer.status == 201
    assert (told["success"], told["message"], told["data"]["title"]) == (True, "Task created", "é")
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("body", "field", "issue"),
    [
        ({}, "title", "Field required"),
        ({"title": "a", "priority": "s3cret"}, "priority", "Must be one of: low, medium, high, critical"),
        ({"title": "a", "place": {"lines": ["b", 3]}}, "place.lines.1", "Input should be a valid string"),
        ({"title": "a", "place": {"lines": [" "]}}, "place.lines.0", "Must not be blank"),
        ({"title": "s3cret s3cret"}, "title", "String should have at most 10 characters"),
        (["a"], "body", "Must be a JSON object, sent as Content-Type: application/json"),
        (b"{", "body", "not valid JSON"),
        (b"", "body", "Field required"),
    ],
)
@on_a_loop
async def test_names_the_field_that_is_wrong_and_never_its_value(body: Any, field: str, issue: str) -> None:
    answer = await ask(app(), "POST", "/v1/tasks", **posted(body))
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["message"]) == (422, "VALIDATION_ERROR", "Request validation failed")
    assert error["details"] == {"field": field, "issue": issue}
    assert b"s3cret" not in answer.body


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 100_000])
@on_a_loop
async def test_what_cannot_be_read_is_malformed(body: bytes) -> None:
    answer = await ask(app(), "POST", "/v1/tasks", **posted(body))
    assert (answer.status, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/tasks/7", 404, "TASK_NOT_FOUND"),
        ("GET", "/v1/tasks/7?limit=many", 422, "VALIDATION_ERROR"),
        ("GET", "/v1/nowhere", 404, "NOT_FOUND"),
        ("GET", "/v1/tasks/7/", 404, "NOT_FOUND"),
        ("DELETE", "/v1/tasks", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/refused", 500, "INTERNAL_ERROR"),
        ("GET", "/v1/nan", 500, "INTERNAL_ERROR"),
    ],
)
@on_a_loop
async def test_every_refusal_speaks_the_paths_dialect(method: str, path: str, status: int, code: str) -> None:
    answer = await ask(app(), method, path)
    assert (answer.status, answer.json()["error"]["code"]) == (status, code)
    assert b"s3cret" not in answer.body


@on_a_loop
async def test_a_wrong_method_says_which_are_right() -> None:
    answer = await ask(app(), "DELETE", "/v1/tasks")
    assert answer.headers["allow"] == "POST"


@on_a_loop
async def test_a_refused_method_tells_all_that_the_path_takes() -> None:
    answer = await ask(app(), "PUT", "/v1/tasks/task_1")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET")


@on_a_loop
async def test_a_body_that_is_too_large_is_refused_while_the_framework_reads_it() -> None:
    answer = await ask(app(), "POST", "/v1/tasks", **posted(b'{"title":"' + b"a" * (1 << 20)), pieces=5)
    assert (answer.status, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


@on_a_loop
async def test_no_request_visits_another_thread() -> None:
    """A thread hop costs as much as everything else in the frame."""
    answer = await ask(app(), "GET", "/v1/threads")
    assert answer.json() == {"group": "tasks", "thread": threading.get_ident()}


@on_a_loop
async def test_a_route_is_recorded_by_its_template() -> None:
    seen: list[str] = []
    edge = app()

    async def record(exchange: Exchange) -> None:
        seen.append(exchange.route)

    edge.recorder = record
    for path in ("/v1/tasks/7", "/v1/nowhere/7"):
        await ask(edge, "GET", path)
    assert seen == ["/v1/tasks/{task_id}", "unmatched"]


def test_figures_are_the_same_numbers() -> None:
    figures = {"values": [0.1, -1.5e-07, 1e22, 3, 0.30000000000000004], "agent_ids": ["é"]}
    assert json.loads(bytes(Figures(figures).body)) == figures


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert Json({"said": "a\ud800b"}).body == b'{"said":"a?b"}'
