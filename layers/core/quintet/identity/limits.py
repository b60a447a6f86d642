"""How often one may ask: which limit a request counts against, and what its window says."""

import re
from dataclasses import dataclass
from datetime import datetime

from quintet.errors import Failure, Kind
from quintet.http.dialects import Dialect
from quintet.settings import Settings

MINUTE, HOUR = 60, 3600
_UNITS = {MINUTE: "minute", HOUR: "hour"}

_PUBLIC = re.compile(r"/(health|healthz|metrics|api/v1/health)$|/console(/|$)")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_STAYS = re.compile(r"/auth/token$|/v1/(auth|configuration|monitoring)(/|$)|/admin/v1(/|$)")
# Within kyros.md, the first pattern that matches: method and path, group, seconds.
_KYROS = tuple(
    (re.compile(pattern), group, seconds)
    for pattern, group, seconds in (
        (r"POST /v1/auth/(login|token|refresh)$", "auth", MINUTE),
        (r"POST /v1/tasks/?$", "task_creation", HOUR),
        (r"POST /v1/models/select$", "model_selection", HOUR),
        (r"\S+ /v1/monitoring(/|$)", "monitoring", HOUR),
        (r"\S+ /v1/webhooks(/|$)", "webhooks", MINUTE),
        (r"", "default", MINUTE),
    )
)
_GROUPS = {"toron": "ask", "cyborgmind": "policy", "openai": "personas", "tron": "personas", "broker": "broker"}


@dataclass(frozen=True, slots=True)
class Limit:
    """`most` requests within `seconds`.

    `by_address` counts the address even of a caller who is known; `renewed` begins the window anew with every request
    that it admits.
    """

    group: str
    most: int
    seconds: int
    by_address: bool = False
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What a window says after a request was counted, or turned away. `resets_at` is when the window ends."""

    admitted: bool
    remaining: int
    resets_at: datetime


def rests(method: str, path: str) -> bool:
    """Whether maintenance keeps this request out: all that may change something, but what ends the maintenance."""
    return method not in _READING and _STAYS.match(path) is None


def is_public(path: str) -> bool:
    """Probes and pages for people are not calls of the API: nobody is named there, and nothing is counted."""
    return _PUBLIC.match(path) is not None


def limit_of(method: str, path: str, dialect: Dialect, settings: Settings) -> Limit | None:
    """None when nothing is counted here: a limit of 0 means the same."""
    if dialect.name == "kyros":
        group, seconds = next(
            (group, seconds) for pattern, group, seconds in _KYROS if pattern.match(f"{method} {path}")
        )
    else:
        group, seconds = _GROUPS[dialect.name], MINUTE
    most: int = getattr(settings, f"rate_limit_{group}")
    return Limit(group, most, seconds, by_address=group == "auth") if most else None


def address_account(address: str) -> str:
    """A network of IPv6 counts as one caller: whoever has one address of it has 2**64."""
    if ":" in address:
        import ipaddress

        try:
            full = ipaddress.IPv6Address(address.partition("%")[0])
        except ValueError:
            return "ip#unknown"
        address = str(full.ipv4_mapped or ipaddress.IPv6Network((full, 64), strict=False))
    return f"ip#{address or 'unknown'}"


def headers_of(limit: Limit, tally: Tally) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(limit.most),
        "x-ratelimit-remaining": str(tally.remaining),
        "x-ratelimit-reset": str(_ceil(tally.resets_at)),
    }


def exceeded(limit: Limit, tally: Tally, now: datetime) -> Failure:
    return Failure(
        Kind.LIMITED,
        f"Rate limit exceeded: {limit.most} per 1 {_UNITS[limit.seconds]}",
        retry_after=(tally.resets_at - now).total_seconds(),
    )


def _ceil(moment: datetime) -> int:
    """A caller that waits until this second finds the window over."""
    return -int(-moment.timestamp() // 1)
