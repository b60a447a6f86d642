"""A function behind API Gateway that says things it should not."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

import gc
import logging
import sys

from fastapi import APIRouter

from quintet.http.answers import Json
from quintet.http.exchange import Exchange

log = logging.getLogger("quintet.somewhere")
router = APIRouter()


@router.get("/v1/tasks")
async def tasks() -> Json:
    log.info("calling with Bearer abc.def-123 and qk_live_0123456789abcdef", extra={"task": "t1"})
    logging.getLogger("a.library").warning("something is odd")
    return Json([])


@router.get("/v1/broken")
async def broken() -> Json:
    raise LookupError("no key eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl")


@router.get("/v1/calls")
async def calls() -> Json:
    import botocore.session  # noqa: F401 - the first that anybody hears of it

    return Json(hasattr(sys.modules["botocore.client"], "_xray_enabled"))


@router.get("/v1/process")
async def process() -> Json:
    order = [name for name in sys.modules if name in {"quintet.cold", "pydantic", "fastapi"}]
    return Json(
        {
            "modules": sorted(sys.modules),
            "order": order,
            "collecting": gc.isenabled(),
            "frozen": gc.get_freeze_count() > 0,
        }
    )


async def gate(_exchange: Exchange) -> None: ...


async def record(exchange: Exchange) -> None:
    log.info("request", extra={"request_id": exchange.request_id, "status_code": exchange.status})


app = create_app("tasks", [router], gate=gate, recorder=record)
handler = serve(app)
