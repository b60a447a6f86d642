"""Each endpoint's own gate: fifty a minute exactly, a few at a time, and a pause for one that is down.

A gate knows nothing of other endpoints, so that one that hangs holds up its own deliveries and nobody else's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

MINUTE_MS = 60_000
TOGETHER = 5  # attempts under way at once
TRUST = 3  # failures in a row, after which it is asked by one attempt at a time
_FIRST_PAUSE_MS = 5_000
_LONGEST_PAUSE_MS = 300_000
_BUSY_MS = 1_000
_STEP_MS = 200
_SLACK_MS = 1_000  # an attempt arrives a little after it was let through, and not always by as much
LEASE_MS = 45_000  # an attempt that says nothing for so long has died with its process


@dataclass(frozen=True, slots=True)
class Gate:
    """Times in milliseconds. `sent` are the attempts of the last minute, oldest first; `flying` those under way, each
    with the end of its lease. Whoever is turned away stands in one line, whose end is `slot`: however many wait, they
    come to ask no faster than they could be let through."""

    sent: tuple[int, ...] = ()
    slot: int = 0
    flying: Mapping[str, int] = field(default_factory=dict)
    failures: int = 0
    closed_until: int = 0
    failing_since: int = 0
    last_triggered: int = 0
    version: int = 0

    @property
    def trusted(self) -> bool:
        return self.failures < TRUST


def admit(gate: Gate, attempt: str, now: int, most: int) -> tuple[Gate, int]:
    """The gate after it, and how long the attempt must wait: 0 lets it fly."""
    gate = replace(
        gate,
        sent=tuple(each for each in gate.sent if each > now - MINUTE_MS - _SLACK_MS),
        flying={each: until for each, until in gate.flying.items() if until > now},
    )
    pace = MINUTE_MS // most if most else _STEP_MS
    if gate.closed_until > now:
        return _in_line(gate, gate.closed_until, pace, now)
    if len(gate.flying) >= (TOGETHER if gate.trusted else 1) and attempt not in gate.flying:
        return _in_line(gate, now + _BUSY_MS, _STEP_MS if gate.trusted else pace, now)
    if most and len(gate.sent) >= most:
        return _in_line(gate, gate.sent[-most] + MINUTE_MS + _SLACK_MS, pace, now)
    sent = tuple(sorted((*gate.sent, now)))  # clocks of two instances differ a little
    return replace(gate, sent=sent, flying={**gate.flying, attempt: now + LEASE_MS}), 0


def _in_line(gate: Gate, earliest: int, step: int, now: int) -> tuple[Gate, int]:
    slot = max(gate.slot, earliest, now)
    return replace(gate, slot=slot + step), slot - now + 1


def forgiven(gate: Gate) -> Gate:
    """After its owner has mended it: what was sent still counts, what failed does not."""
    return replace(gate, slot=0, failures=0, closed_until=0, failing_since=0)


def landed(gate: Gate, attempt: str, now: int, *, delivered: bool, pause_ms: int = 0) -> Gate:
    """`pause_ms` is what the receiver asked for."""
    flying = {each: until for each, until in gate.flying.items() if each != attempt}
    if delivered:
        return replace(gate, flying=flying, failures=0, closed_until=0, failing_since=0, last_triggered=now)
    failures = gate.failures + 1
    own = min(_FIRST_PAUSE_MS << min(failures - TRUST, 10), _LONGEST_PAUSE_MS) if failures >= TRUST else 0
    return replace(
        gate,
        flying=flying,
        failures=failures,
        closed_until=max(gate.closed_until, now + max(own, min(pause_ms, _LONGEST_PAUSE_MS))),
        failing_since=gate.failing_since or now,
        last_triggered=now,
    )
