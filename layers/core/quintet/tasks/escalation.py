"""The noun of an escalation, pure: a request that a task may run again, on a better and dearer model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from quintet.errors import Failure, Kind

PATIENCE = timedelta(hours=24)


class Stage(StrEnum):
    PENDING = "pending_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Escalation:
    """`rev` counts its changes, `run` its executions. Money is in nano-USD. `token` is the waiting execution's.

    `by_rule` says that the platform asked for it by itself; `confidence` is how sure its rules were.
    """

    id: str
    task_id: str
    requested_by: str
    submitted_at: datetime
    expires_at: datetime
    original_model: str
    target_model: str
    reason: str
    status: Stage = Stage.PENDING
    estimated_cost: int = 0
    priority: str = "medium"
    context: Mapping[str, Any] = field(default_factory=dict)
    approval_required: bool = True
    by_rule: bool = False
    confidence: float | None = None
    account: str = ""
    key_id: str | None = None
    token: str | None = field(default=None, repr=False)
    decided_at: datetime | None = None
    decided_by: str | None = None
    decision_reason: str | None = None
    comments: str | None = None
    actual_cost: int | None = None
    result: str | None = None
    run: int = 1
    rev: int = 1

    @property
    def workflow_id(self) -> str:
        return f"wf_{self.id.partition('_')[2]}"

    def changed(self, **values: Any) -> "Escalation":
        return replace(self, **values, rev=self.rev + 1)

    def decided(self, approved: bool, by: str, at: datetime, reason: str | None, comments: str | None) -> "Escalation":
        """Raises Failure for one that is decided, for one whose time is up, and for whoever asked for it."""
        if by == self.requested_by:
            raise Failure(Kind.FORBIDDEN, "Whoever asks for an escalation cannot decide on it: somebody else must")
        if self.status is not Stage.PENDING:
            raise Failure(Kind.CONFLICT, f"This escalation is {self.status} already", details={"status": self.status})
        if at >= self.expires_at:
            raise Failure(Kind.CONFLICT, "This escalation has expired: ask for another one")
        return self.changed(
            status=Stage.APPROVED if approved else Stage.REJECTED,
            decided_at=at,
            decided_by=by,
            decision_reason=reason,
            comments=comments,
        )


def not_found(escalation_id: str) -> Failure:
    return Failure(Kind.NOT_FOUND, f"There is no escalation '{escalation_id}'")
