"""What a change may say, and what it is laid over."""

from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.configuration.model import SYSTEM, Document, changed, values_of
from quintet.configuration.system import schema
from quintet.errors import Failure, Kind

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def after(change: Any, before: Document | None = None) -> Document:
    return changed(before or Document(SYSTEM), change, schema(), at=NOW, by="ops")


def test_nobody_has_said_anything_and_the_defaults_are_in_force() -> None:
    values = values_of(Document(SYSTEM), schema())
    assert values["models"] == {
        "default_model": "glm-4.5",
        "escalation_model": "claude-4.1-opus",
        "fallback_model": "glm-4.5",
        "timeout": 300,
    }
    assert values["system"]["maintenance_mode"] is False


def test_a_change_leaves_what_it_does_not_name() -> None:
    first = after({"escalation": {"cost_threshold": 25.0}})
    second = after({"escalation": {"auto_approve_threshold": 0.9}, "models": {"timeout": 600}}, first)
    values = values_of(second, schema())
    assert values["escalation"] == {
        "auto_approve_threshold": 0.9,
        "max_daily_escalations": 10,
        "cost_threshold": 25.0,
        "approval_required": True,
    }
    assert (first.version, second.version, second.by) == (1, 2, "ops")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"nonsense": {}}, "nonsense"),
        ({"models": {"timeoutt": 1}}, "models.timeoutt"),
        ({"models": {"timeout": "600"}}, "models.timeout"),
        ({"models": {"timeout": True}}, "models.timeout"),
        ({"models": {"timeout": 0}}, "models.timeout"),
        ({"models": 7}, "models"),
        ({"models": {"default_model": ""}}, "models.default_model"),
        ({"escalation": {"auto_approve_threshold": 1.1}}, "escalation.auto_approve_threshold"),
        ({"escalation": {"auto_approve_threshold": float("nan")}}, "escalation.auto_approve_threshold"),
        ({"escalation": {"approval_required": 1}}, "escalation.approval_required"),
        ({"system": {"version": "2"}}, "system.version"),
        ({"system": {"timezone": "Mars/Olympus"}}, "system.timezone"),
        ({"system": {"timezone": "../../etc/passwd"}}, "system.timezone"),
        ({"system": {"timezone": 7}}, "system.timezone"),
        ([], "body"),
        (None, "body"),
    ],
)
def test_what_does_not_suit_is_refused_by_its_path(change: Any, path: str) -> None:
    with pytest.raises(Failure) as failure:
        after(change)
    assert failure.value.kind is Kind.INVALID
    assert failure.value.details["field"] == path
