"""When somebody should look, and what becomes of an alert."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from quintet.alerts.model import Figures, Standing, findings, raised, told
from quintet.errors import Failure, Kind

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
USD = 1_000_000_000
QUIET = Figures(spent_today=0, daily_budget=50 * USD, requests=100, errors=0, tasks=50, escalations=0, routable=True)


@pytest.mark.parametrize(
    ("changes", "types"),
    [
        ({}, []),
        ({"spent_today": 60 * USD}, []),
        ({"spent_today": 60 * USD + 1}, ["cost_overrun"]),
        ({"spent_today": 60 * USD + 1, "daily_budget": 0}, []),
        ({"errors": 5}, []),
        ({"errors": 6}, ["high_error_rate"]),
        ({"errors": 10, "requests": 10}, []),
        ({"escalations": 5}, []),
        ({"escalations": 6}, ["escalation_spike"]),
        ({"escalations": 3, "tasks": 3}, []),
        ({"routable": False}, ["system_down"]),
    ],
)
def test_a_rule_finds_what_it_is_for_and_nothing_else(changes: dict[str, Any], types: list[str]) -> None:
    assert [finding.type for finding in findings(replace(QUIET, **changes))] == types


def test_an_overrun_is_told_as_the_document_tells_it() -> None:
    (finding,) = findings(replace(QUIET, spent_today=61 * USD))
    shown = told(raised(finding, NOW))
    assert shown["type"] == "cost_overrun"
    assert shown["severity"] == "warning"
    assert shown["message"] == "Daily cost exceeded budget by 22%"
    assert shown["details"] == {"budget": 50.0, "actual": 61.0, "overrun": 11.0}
    assert (shown["status"], shown["acknowledged_at"], shown["resolved_at"]) == ("active", None, None)


def test_an_alert_is_acknowledged_and_resolved_once() -> None:
    (finding,) = findings(replace(QUIET, routable=False))
    alert = raised(finding, NOW)
    seen = alert.acknowledged("ada", NOW)
    assert (seen.status, seen.acknowledged_by) == (Standing.ACKNOWLEDGED, "ada")
    done = seen.resolved("bob", NOW)
    assert (done.status, done.resolved_by, done.acknowledged_by) == (Standing.RESOLVED, "bob", "ada")
    for move in (done.acknowledged, done.resolved, seen.acknowledged):
        with pytest.raises(Failure) as failure:
            move("eve", NOW)
        assert failure.value.kind is Kind.CONFLICT
