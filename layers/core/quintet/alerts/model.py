"""When somebody should look: the rules, pure, and what becomes of an alert."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from quintet.errors import Failure, Kind
from quintet.store.clock import iso
from quintet.store.ids import new_id

COOLDOWN = timedelta(hours=1)  # of a type: while it goes on, nobody is told again
OVERRUN = 1.2  # times the daily budget
ERRORS = 5.0  # percent of requests
ESCALATIONS = 10.0  # percent of tasks that were begun
FEWEST_REQUESTS, FEWEST_TASKS = 20, 10  # a rate of fewer says nothing


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Standing(StrEnum):
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has found, before it is known whether it was told of already."""

    type: str
    severity: Severity
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    id: str
    type: str
    severity: Severity
    message: str
    created_at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    status: Standing = Standing.ACTIVE
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    rev: int = 1

    def acknowledged(self, by: str, at: datetime) -> "Alert":
        if self.status is not Standing.ACTIVE:
            raise Failure(Kind.CONFLICT, f"This alert is {self.status} already", details={"status": self.status})
        return replace(self, status=Standing.ACKNOWLEDGED, acknowledged_at=at, acknowledged_by=by, rev=self.rev + 1)

    def resolved(self, by: str, at: datetime) -> "Alert":
        if self.status is Standing.RESOLVED:
            raise Failure(Kind.CONFLICT, "This alert is resolved already", details={"status": self.status})
        return replace(self, status=Standing.RESOLVED, resolved_at=at, resolved_by=by, rev=self.rev + 1)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rules look at. Money is in nano-USD; `routable` says whether any model could be called."""

    spent_today: int
    daily_budget: int
    requests: int  # of the last five minutes
    errors: int  # of ours among them: status 5xx
    tasks: int  # begun within the last hour
    escalations: int  # asked for within the last hour
    routable: bool


def raised(finding: Finding, now: datetime) -> Alert:
    return Alert(new_id("alert", now), finding.type, finding.severity, finding.message, now, dict(finding.details))


def findings(figures: Figures) -> Iterator[Finding]:
    if figures.daily_budget and figures.spent_today > OVERRUN * figures.daily_budget:
        budget, actual = figures.daily_budget / 1e9, figures.spent_today / 1e9
        over = round(100 * (actual / budget - 1))
        details = {"budget": budget, "actual": actual, "overrun": round(actual - budget, 9)}
        yield Finding("cost_overrun", Severity.WARNING, f"Daily cost exceeded budget by {over}%", details)
    rate = 100 * figures.errors / figures.requests if figures.requests else 0.0
    if figures.requests >= FEWEST_REQUESTS and rate > ERRORS:
        details = {"rate": round(rate, 2), "threshold": ERRORS, "requests": figures.requests, "errors": figures.errors}
        yield Finding("high_error_rate", Severity.ERROR, f"{rate:.1f}% of the requests failed", details)
    rate = 100 * figures.escalations / figures.tasks if figures.tasks else 0.0
    if figures.tasks >= FEWEST_TASKS and rate > ESCALATIONS:
        details = {"rate": round(rate, 2), "threshold": ESCALATIONS, "tasks": figures.tasks}
        yield Finding("escalation_spike", Severity.WARNING, f"{rate:.1f}% of the tasks were escalated", details)
    if not figures.routable:
        yield Finding(
            "system_down", Severity.CRITICAL, "No model can be called: every provider is down or unconfigured"
        )


def told(alert: Alert) -> dict[str, Any]:
    """kyros.md's shape; it is also what the event says."""

    def moment(at: datetime | None) -> str | None:
        return iso(at) if at else None

    return {
        "id": alert.id,
        "type": alert.type,
        "severity": alert.severity.value,
        "status": alert.status.value,
        "message": alert.message,
        "details": dict(alert.details),
        "created_at": iso(alert.created_at),
        "acknowledged_at": moment(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
        "resolved_at": moment(alert.resolved_at),
        "resolved_by": alert.resolved_by,
    }
