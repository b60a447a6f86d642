"""What a request costs of AWS itself, beside what models cost: its time, its request, its reads and writes."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Units:
    """`gb_seconds` is memory by time; reads and writes are DynamoDB's units."""

    gb_seconds: float
    reads: float
    writes: float
    api: bool = True  # it came through API Gateway

    @property
    def nano_usd(self) -> int:
        price = prices()["request"]
        cost: float = (
            price["lambda_request"]
            + self.gb_seconds * price["lambda_gb_second_arm"]
            + self.reads * price["dynamodb_read_unit"]
            + self.writes * price["dynamodb_write_unit"]
            + (price["api_gateway_request"] if self.api else 0)
        )
        return round(cost * _NANO)


@cache
def prices() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text())
    return found


def written(item: str) -> int:
    """The write units of a new record of the request log and of its index, from its text: the answer comes too late."""
    return -(-len(item.encode()) // 1024) + 1
