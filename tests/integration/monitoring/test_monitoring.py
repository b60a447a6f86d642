"""kyros.md's monitoring deployed in the emulator, in its functions' own roles."""

from datetime import timedelta
from typing import Any

import pytest
import requests

from quintet.alerts import store as alerts
from quintet.alerts.model import Finding, Severity, raised
from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.store.clock import SystemClock
from quintet.store.transactions import write_together
from tests.conftest import Stack
from tests.processes import eventually


@pytest.fixture(scope="module")
def seeded(stack: Stack) -> dict[str, str]:
    return stack.keys


class Watcher:
    def __init__(self, stack: Stack, keys: dict[str, str]) -> None:
        self._stack = stack
        self._keys = keys

    def __call__(self, path: str, method: str = "GET", key: str = "VIEWER_KEY", **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._keys[key]}"}
        return self._stack.request(method, f"/v1/monitoring{path}", headers=headers, **options)

    def data(self, path: str) -> Any:
        answer = self(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture
def watch(stack: Stack, seeded: dict[str, str]) -> Watcher:
    return Watcher(stack, seeded)


def test_health_has_the_documents_parts(watch: Watcher) -> None:
    data = watch.data("/health")
    assert data["overall_status"] in {"healthy", "degraded", "unhealthy"}
    assert {"orchestrator", "console", "terminal_daemon"} <= set(data["services"])
    assert set(data["services"]["console"]) == {"status", "response_time", "uptime"}
    assert data["database"]["status"] == "healthy"
    assert set(data["database"]["connection_pool"]) == {"active", "idle", "max"}
    assert data["database"]["query_performance"]["average_time"] > 0
    assert {"glm-4.5", "claude-4.1-opus"} <= set(data["models"])
    assert set(data["models"]["glm-4.5"]) == {"status", "response_time", "success_rate"}


def test_events_are_counted_into_the_documents_metrics(watch: Watcher, function_environment: None) -> None:
    now = SystemClock().now()
    told = {"assignee_role": "critic", "type": "review", "model_used": "m-monitored", "cost_usd": 0.25}
    kinds = ("task.started", "task.started", "task.completed", "task.failed", "escalation.requested")
    for index, kind in enumerate(kinds):
        write_together([outbox(platform_event(kind, f"task_m{index}", told, now=now))])

    def counted() -> Any:
        found = watch.data("/costs?period=7d")["cost_breakdown"]["by_model"].get("m-monitored", {})
        return found if found.get("tasks") == 2 else None

    eventually(counted)
    data = watch.data("/metrics?period=24h&granularity=1h&metrics=task_completion_rate,cost_per_task")
    assert (data["period"], data["granularity"]) == ("24h", "1h")
    rate = data["metrics"]["task_completion_rate"]
    assert (len(rate["data"]), rate["unit"]) == (24, "percent")
    assert rate["data"][-1] is not None or rate["data"][-2] is not None


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/metrics?period=2y", "period"),
        ("/metrics?granularity=1s", "granularity"),
        ("/metrics?period=1h&granularity=1d", "granularity"),
        ("/metrics?period=30d&granularity=1m", "granularity"),
        ("/metrics?metrics=happiness", "metrics"),
        ("/costs?period=7h", "period"),
        ("/costs?group_by=planet", "group_by"),
        ("/alerts?status=loud", "status"),
        ("/alerts?limit=0", "limit"),
    ],
)
def test_questions_that_make_no_sense_are_refused_by_field(watch: Watcher, path: str, field: str) -> None:
    answer = watch(path)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == field


def test_an_alert_is_raised_once_an_hour_listed_and_dealt_with(watch: Watcher, function_environment: None) -> None:
    now = SystemClock().now()
    finding = Finding("cost_overrun", Severity.WARNING, "Daily cost exceeded budget by 20%", {"budget": 50.0})
    assert alerts.raise_once(raised(finding, now))
    assert not alerts.raise_once(raised(finding, now + timedelta(minutes=59)))
    (alert,) = [each for each in watch.data("/alerts?status=active")["alerts"] if each["type"] == "cost_overrun"]
    assert alert["details"] == {"budget": 50.0}
    path = f"/alerts/{alert['id']}"
    assert watch(f"{path}/acknowledge", "POST").status_code == 403
    seen = watch(f"{path}/acknowledge", "POST", "REVIEWER_KEY").json()["data"]
    assert (seen["status"], bool(seen["acknowledged_at"])) == ("acknowledged", True)
    assert watch(f"{path}/acknowledge", "POST", "REVIEWER_KEY").status_code == 409
    assert watch(f"{path}/resolve", "POST", "API_KEY").json()["data"]["status"] == "resolved"
    assert watch.data(path)["resolved_at"]
    assert watch("/alerts/alert_nowhere").status_code == 404
    assert alerts.raise_once(raised(finding, now + timedelta(hours=1)))


def test_a_tick_looks_and_closes(stack: Stack) -> None:
    told = stack.invoke("RollupFunction", {})
    assert set(told) == {"closed", "alerts"}
