"""Who may decide on an escalation, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.tasks.escalation import PATIENCE, Escalation, Stage

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
ASKED = Escalation("esc_1", "task_1", "ada", NOW, NOW + PATIENCE, "glm-4.5", "claude-4.1-opus", "It is hard")


def test_somebody_else_decides() -> None:
    approved = ASKED.decided(True, "rex", NOW, "worth it", None)
    assert (approved.status, approved.decided_by, approved.rev) == (Stage.APPROVED, "rex", 2)
    assert ASKED.decided(False, "rex", NOW, None, None).status is Stage.REJECTED


@pytest.mark.parametrize(
    ("escalation", "by", "at", "kind"),
    [
        (ASKED, "ada", NOW, Kind.FORBIDDEN),
        (replace(ASKED, status=Stage.APPROVED), "rex", NOW, Kind.CONFLICT),
        (replace(ASKED, status=Stage.EXPIRED), "rex", NOW, Kind.CONFLICT),
        (ASKED, "rex", NOW + PATIENCE + timedelta(seconds=1), Kind.CONFLICT),
    ],
)
def test_a_decision_that_does_not_count(escalation: Escalation, by: str, at: datetime, kind: Kind) -> None:
    with pytest.raises(Failure) as refused:
        escalation.decided(True, by, at, None, None)
    assert refused.value.kind is kind
