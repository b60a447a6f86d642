"""One request as all below the front door see it: who, when, how long still, and what its record should tell."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Any, Protocol

from quintet.errors import Failure
from quintet.http.dialects import Dialect, dialect_of
from quintet.settings import settings
from quintet.store.ids import new_id

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")
_SCOPE_KEY = "quintet.exchange"


class Caller(Protocol):
    """What the front door needs to know of a principal; `identity` has the whole of it."""

    @property
    def id(self) -> str: ...

    @property
    def key_id(self) -> str | None: ...


@dataclass(slots=True)
class Exchange:
    """`record_id` is ours and unique; `request_id` is what the caller sees, and may be one of its own choosing."""

    record_id: str
    request_id: str
    group: str
    method: str
    path: str
    ip: str
    headers: dict[str, str]
    at: datetime
    dialect: Dialect
    started: float = field(default_factory=time.perf_counter)
    route: str = ""  # the path's template, once matched: bounded, unlike the path
    remaining_ms: Callable[[], int] | None = None  # the Lambda's own clock, where there is one
    caller: Caller | None = None
    refusal: Failure | None = None  # why the credentials that came with the request do not count
    confirm: Callable[[], Awaitable[None]] | None = None  # asks the store whether the caller still stands, or raises
    confirmed: bool = False  # a write of this request has already found that the caller stands
    status: int = 0
    failure: Failure | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # what a room wants told in the request's record; no secrets

    def named(self, name: Any) -> None:
        """By the caller, in its body: a header wins. What is no sane id is none."""
        if isinstance(name, str) and _SANE_ID.fullmatch(name):
            self.facts["client_request_id"] = name
            if "x-request-id" not in self.headers:
                self.request_id = name

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    def patience(self, kept: float) -> float | None:
        """Seconds that may be spent if `kept` seconds of the Lambda's time shall be left; less of a life below 15 s.

        None where no clock runs out.
        """
        if self.remaining_ms is None:
            return None
        left = self.remaining_ms() / 1000
        return left - kept * min(1.0, left / 15)


Gate = Callable[[Exchange], Awaitable[None]]
"""Names the caller and counts the request against its limits. Raises Failure to turn it away."""

Recorder = Callable[[Exchange], Awaitable[None]]
"""Keeps the request's record. Called once per request, before the last byte of the answer leaves."""


def open_exchange(scope: dict[str, Any], group: str, now: datetime) -> Exchange:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    asked = headers.get("x-request-id", "")
    context = scope.get("aws.context")
    exchange = Exchange(
        record_id=new_id("rec", now),
        request_id=asked if _SANE_ID.fullmatch(asked) else new_id("req", now),
        group=group,
        method=scope["method"],
        path=scope["path"],
        ip=address_of(headers, (scope.get("client") or ("", 0))[0] or ""),
        headers=headers,
        at=now,
        dialect=dialect_of(scope["path"]),
        remaining_ms=getattr(context, "get_remaining_time_in_millis", None),
    )
    scope[_SCOPE_KEY] = exchange
    return exchange


def address_of(headers: Mapping[str, str], connected: str) -> str:
    """Whose request it is, by address. What connects behind our own edge is the edge, for all of its callers."""
    key = settings().edge_key
    if key and compare_digest(headers.get("x-quintet-edge", "").encode(), key.encode()):
        return headers.get("x-quintet-viewer") or connected
    return connected


def exchange_of(scope: Any) -> Exchange:
    """Takes an ASGI scope or anything that behaves like one: a Starlette request does."""
    exchange: Exchange = scope[_SCOPE_KEY]
    return exchange
