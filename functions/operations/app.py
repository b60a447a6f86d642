"""What watches the system, and the refusal of every path that no other function serves."""

from quintet.http.app import create_app, exchange
from quintet.telemetry.lambdas import serve

from typing import Annotated

from fastapi import APIRouter, Depends

from operations import configuration, console, metrics, monitoring
from quintet.http.answers import Json
from quintet.http.exchange import Exchange
from quintet.identity.door import gate
from quintet.settings import settings
from quintet.store.clock import iso
from quintet.telemetry.requests import record

router = APIRouter()


@router.api_route("/health", methods=["GET", "HEAD"])
async def health(asked: Annotated[Exchange, Depends(exchange)]) -> Json:
    return Json({"status": "healthy", "version": settings().version, "timestamp": iso(asked.at)})


app = create_app(
    "operations",
    [router, console.router, metrics.router, configuration.router, monitoring.router],
    gate=gate(),
    recorder=record,
)
handler = serve(app, later=["operations.figures"])
