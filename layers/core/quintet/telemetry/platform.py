"""What work costs of AWS itself, beside what models cost: each unit that was used, times its price."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from quintet.settings import memory_mb
from quintet.store.meter import Meter

_NANO = 1_000_000_000
TIME = "lambda_gb_second_arm"
WRITE = "dynamodb_write_unit"


def nano_usd(used: Mapping[str, float]) -> int:
    """Without free tiers. Raises KeyError for a unit that has no price."""
    price: dict[str, float] = prices()["request"]
    return round(sum(price[unit] * number for unit, number in used.items()) * _NANO)


def used_by(meter: Meter) -> dict[str, float] | None:
    """What it counted, and the memory by the time; None off Lambda, where nobody charges for it."""
    memory = memory_mb()
    if not memory:
        return None
    return {**meter.used, TIME: meter.used.get(TIME, 0) + int(memory) / 1024 * meter.seconds}


@cache
def prices() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text())
    return found


def written(item: str) -> int:
    """The write units of a new record of the request log and of its index, from its text: the answer comes too late."""
    return -(-len(item.encode()) // 1024) + 1
