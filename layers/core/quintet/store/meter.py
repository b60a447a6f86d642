"""What AWS charges for, counted where it is used: who asks AWS counts, who keeps the record of the work tells.

Units have the names of their prices (`telemetry/prices.json`).
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Any

_READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"})


class Meter:
    """What was used since it was last told."""

    def __init__(self) -> None:
        self.used: defaultdict[str, float] = defaultdict(float)
        self._since = time.perf_counter()
        self._token: Token[Meter | None] | None = None

    def __enter__(self) -> "Meter":
        self._token = _metering.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _metering.reset(self._token)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._since

    def add(self, unit: str, number: float = 1) -> None:
        self.used[unit] += number

    def told(self) -> None:
        """A record has told of it: what comes is another's."""
        self.used.clear()
        self._since = time.perf_counter()


_metering: ContextVar[Meter | None] = ContextVar("metering", default=None)


def metered() -> AbstractContextManager[Meter]:
    """Adds up what this block uses, and tasks that it starts. Blocks in blocks count for themselves."""
    return Meter()


def metered_so_far() -> Meter | None:
    """None where nobody measures."""
    return _metering.get()


def used(unit: str, number: float = 1) -> None:
    meter = _metering.get()
    if meter is not None:
        meter.add(unit, number)


def asking(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request to DynamoDB that asks what it will have consumed, where somebody measures."""
    return request if _metering.get() is None else {**request, "ReturnConsumedCapacity": "TOTAL"}


def consumed(operation: str, answer: Mapping[str, Any]) -> float:
    """The units of an answer of DynamoDB, which are counted."""
    told = answer.get("ConsumedCapacity", ())
    units = float(sum(each["CapacityUnits"] for each in ([told] if isinstance(told, dict) else told)))
    if units:
        used("dynamodb_read_unit" if operation in _READS else "dynamodb_write_unit", units)
    return units


def charged(client: Any, unit: str) -> Any:
    """A client of botocore's whose every request is one such unit."""

    def count(**_: Any) -> None:
        used(unit)

    client.meta.events.register("before-send", count)
    return client
