"""A function in the common frame whose stream repeats what an upstream says, as it says it."""

from quintet.http.app import create_app

from fastapi import APIRouter, Request

from quintet.errors import Failure, Kind
from quintet.http.answers import Json
from quintet.http.entry import Entry
from quintet.http.exchange import Exchange
from quintet.http.sse import EventStream, Source, frame
from quintet.net.client import stream

router = APIRouter()
records: list[str] = []


@router.get("/api/v1/stream")
async def repeat(upstream: str) -> EventStream:
    async def source() -> Source:
        async with stream("GET", upstream, idle=20) as answer:
            async for piece in answer.chunks():
                if piece == b"refuse":
                    raise Failure(Kind.UPSTREAM, "the upstream refused")
                yield frame(piece.decode())
        yield frame("[DONE]")

    return EventStream(source(), on_error=lambda failure: frame(failure.message, event="error"))


@router.get("/api/v1/records")
async def recorded() -> Json:
    return Json(records)


@router.post("/api/v1/echo")
async def echo(request: Request) -> Json:
    return Json({"body": (await request.body()).decode(), "name": request.query_params.get("name")})


async def gate(_exchange: Exchange) -> None: ...


async def record(exchange: Exchange) -> None:
    cut = " cut short" if exchange.facts.get("cut_short") else ""
    records.append(f"{exchange.route} {exchange.status}{cut}")


app = create_app("ask", [router], gate=gate, recorder=record)
handler = Entry(app)
