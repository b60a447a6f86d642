"""What watches the system from outside: /metrics for Prometheus, /healthz for whoever keeps it alive."""

from quintet.http.app import exchange

import time
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from quintet.copies import forget_in_copies
from quintet.errors import Failure, Kind
from quintet.http.exchange import Exchange
from quintet.settings import settings
from quintet.telemetry.exposition import CONTENT_TYPE

router = APIRouter()

_FRESH_SECONDS = 5.0  # anybody may ask, as the document has it: asking more often costs nothing
_kept: dict[str, tuple[float, str]] = {}
forget_in_copies(_kept.clear)

Asked = Annotated[Exchange, Depends(exchange)]


@router.api_route("/metrics", methods=["GET", "HEAD"])
async def metrics(asked: Asked) -> Response:
    from operations.figures import exposition  # it needs the gateway and all tables, which no other route here does

    until, text = _kept.get(settings().table_prefix, (0.0, ""))
    if time.monotonic() >= until:
        text = await exposition(asked.at)
        _kept[settings().table_prefix] = (time.monotonic() + _FRESH_SECONDS, text)
    return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def healthz(asked: Asked) -> Response:
    from operations.figures import routable

    if not await routable(asked.at):
        raise Failure(Kind.UNAVAILABLE, "No enabled model is routable: see GET /admin/v1/engine/models")
    return Response("ok", media_type="text/plain", headers={"cache-control": "no-store"})
