"""What stands behind prompts and how it fares: models, connectors, figures, and the probe."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends

from ask.prompts import Asked
from ask.services import shown
from quintet.http.answers import Json
from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.settings import settings

router = APIRouter(prefix="/api/v1")

_BEGAN = time.monotonic()


@router.get("/models")
async def models(asked: Asked, _caller: Annotated[Principal, Depends(permitted("read_models"))]) -> Json:
    return Json(await shown().models(asked.at))


@router.get("/connectors")
async def connectors(asked: Asked, _caller: Annotated[Principal, Depends(permitted("read_models"))]) -> Json:
    return Json(await shown().connectors(asked.at))


@router.get("/telemetry/summary")
async def telemetry(asked: Asked, _caller: Annotated[Principal, Depends(permitted("read_monitoring"))]) -> Json:
    return Json(await shown().telemetry(asked.at))


@router.api_route("/health", methods=["GET", "HEAD"])
async def health() -> Json:
    """For probes, which bring no key. The uptime is this instance's: there is no other process that could be up."""
    return Json({"status": "ok", "uptime_s": round(time.monotonic() - _BEGAN, 3), "version": settings().version})
