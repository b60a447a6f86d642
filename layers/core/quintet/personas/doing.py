"""What goes on in a turn: who talks with whom, and what is left of the time and the money."""

import time
from dataclasses import dataclass, field
from typing import Self

from quintet.errors import Failure, Kind
from quintet.gateway.model import Journal, Payer, Terms
from quintet.personas.model import Metrics, Persona, session_key

TURN_BUDGET = 50_000_000  # nano-USD that all rounds of a turn may cost
_LATENCY_MS = 20_000
_LEAST_MS = 500


@dataclass(frozen=True, slots=True)
class Line:
    """Who talks with whom, over what. `scope` says to whom the caller's name belongs.

    `permissions` are the caller's: a persona does nothing for somebody who may not do it.
    """

    persona: Persona
    caller_id: str
    scope: str = ""
    channel: str = "chat"
    task: str = ""
    permissions: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        return session_key(self.scope, self.caller_id, self.persona.id)


@dataclass(slots=True)
class Doing:
    """What the tools of a turn may know and spend. `deadline` is on the monotonic clock."""

    line: Line
    process_id: str
    payer: Payer
    journal: Journal
    deadline: float
    metrics: Metrics = field(default_factory=Metrics)
    spent: int = 0  # by others on its behalf, in nano-USD: the budget knows, the metrics are theirs

    @classmethod
    def within(cls, line: Line, seconds: float, payer: Payer, journal: Journal, process_id: str = "") -> Self:
        return cls(line, process_id, payer, journal, time.monotonic() + seconds)

    def terms(self) -> Terms:
        """What is left of the time and the money. Raises Failure when the time is over."""
        left = int((self.deadline - time.monotonic()) * 1000)
        if left < _LEAST_MS:
            raise Failure(Kind.TIMEOUT, "The answer took too long")
        model = self.line.persona.model
        return Terms(
            hint=None if model == "auto" else model,
            max_latency_ms=min(_LATENCY_MS, left),
            max_budget=max(0, TURN_BUDGET - self.metrics.cost - self.spent),
        )
