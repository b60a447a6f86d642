"""The schedule's tick: personas live their day."""

from quintet.telemetry.lambdas import consume

from typing import Any

from life.services import ticking
from quintet.personas.paying import house_payer
from quintet.personas.store import pulse
from quintet.store.clock import SystemClock


@consume
async def handler(_event: Any) -> dict[str, Any]:
    await pulse.beat(SystemClock().now())
    return {"lived": await (await ticking()).tick(house_payer("life"))}
