"""/metrics as Prometheus' own tools judge it, what the dashboards ask of it, and /healthz."""

import asyncio
import json
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from operations.queues import QUEUES
from quintet.gateway import present
from quintet.gateway.catalogue import store
from quintet.gateway.catalogue.model import BUILTIN_PROVIDER
from quintet.gateway.ledger.live import control
from quintet.gateway.ledger.model import Scope, Window
from quintet.gateway.model import NANO
from quintet.store.clock import SystemClock
from quintet.telemetry.rollup import roll_up
from quintet.telemetry.store.books import TableBooks
from tests.conftest import Stack
from tests.gateway import Answer, call
from tests.loops import on_a_loop
from tests.promtool import Promtool
from tests.records import call as model_call
from tests.records import record


def ask(path: str, method: str = "GET") -> Answer:
    from operations.app import handler
    from operations.metrics import _kept

    _kept.clear()
    return call(handler, method, path)


async def _all_kinds() -> None:
    """Something in every family that the exposition has."""
    now = SystemClock().now()
    attempts = [{"model": "claude-opus", "provider": "anthropic", "failure": "rate_limited", "latency_ms": 3.0}]
    chat = model_call("gpt-4o", at=now, attempts=attempts, first_token_ms=40.0, cached_tokens=10, reasoning_tokens=5)
    steps = [
        record(at=now, group="policy", route="/step", status=status, latency_ms=2.5) for status in (200, 200, 400, 403)
    ]
    sockets = [record(at=now, group="sockets", route="/stream", method="GET", status=status) for status in (101, 429)]
    failed = record(model_call(at=now, status="error", failure="timeout"), at=now, status=502)
    await roll_up([record(chat, at=now), failed, *steps, *sockets], TableBooks(), now)
    await present.failed("openai", "it broke", now)
    await control().put(Scope.SYSTEM, None, Window.DAY, 100 * NANO, actor="test", now=now)
    await control().put(Scope.PRINCIPAL, "user_secret", Window.DAY, 100 * NANO, actor="test", now=now)


@pytest.fixture(scope="module")
def _queues(stack: Stack, _own_copies: str) -> None:
    """Those of the tables' prefix."""
    sqs = stack.endpoint.client("sqs")
    for name in QUEUES:
        sqs.create_queue(QueueName=f"{_own_copies}{name}")


@pytest.fixture
def exposition(own_tables: None, _queues: None) -> str:
    """In tables of its own: its budget of the system would bound the calls of others."""
    asyncio.run(_all_kinds())
    answer = ask("/metrics")
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


def test_the_exposition_is_what_prometheus_takes(exposition: str, promtool: Promtool) -> None:
    assert promtool.check(exposition) == ""


def test_the_judge_finds_fault_where_there_is_one(promtool: Promtool) -> None:
    assert promtool.check("# TYPE x counter\nx{ 1\n")
    assert promtool.check("# HELP requests r\n# TYPE requests counter\nrequests 1\n")


def test_it_has_the_documents_names_and_ours(exposition: str) -> None:
    for line in (
        'request_count_total{endpoint="/step",status="success"}',
        'request_count_total{endpoint="/step",status="error"}',
        'request_count_total{endpoint="/step",status="auth_failed"}',
        'request_latency_seconds_bucket{endpoint="/step",le="0.005"}',
        'cyborg_websocket_connections_total{status="success"}',
        'quintet_requests_total{group="broker",status="2xx"}',
        'quintet_model_calls_total{model="gpt-4o",provider="openai",status="ok"}',
        'quintet_model_latency_seconds_count{model="gpt-4o",provider="openai"}',
        'quintet_gateway_overhead_seconds_count{provider="openai"}',
        'quintet_tokens_total{model="gpt-4o",provider="openai",kind="input"}',
        'quintet_cost_usd_total{model="gpt-4o",provider="openai"}',
        'quintet_failed_attempts_total{failure="rate_limited",model="claude-opus",provider="anthropic"}',
        'quintet_breaker_state{provider="builtin",state="healthy"} 1',
        'quintet_budget_cap_usd{scope="system",subject="',
        'quintet_queue_messages{queue="inbox"}',
        'quintet_queue_age_seconds{queue="outbox"}',
    ):
        assert line in exposition, line
    assert "# HELP request_count_total Total requests by endpoint\n# TYPE request_count_total counter\n" in exposition
    assert "# HELP request_latency_seconds Request latency\n# TYPE request_latency_seconds histogram\n" in exposition


def test_a_part_that_cannot_be_read_hides_no_other(exposition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from operations import figures

    async def broken() -> Any:
        raise ConnectionError

    monkeypatch.setattr(figures, "queues", broken)
    text = ask("/metrics").text
    assert 'quintet_scrape_success{part="queues"} 0' in text
    assert 'quintet_scrape_success{part="counted"} 1' in text
    assert 'request_count_total{endpoint="/step"' in text


def test_it_names_no_caller(exposition: str) -> None:
    assert "user_" not in exposition
    assert "principal" not in exposition
    assert "quintet_scrape_success{" in exposition
    assert not re.search(r"quintet_scrape_success.* 0", exposition)


def test_asking_often_costs_nothing(exposition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from operations.app import handler
    from quintet.store.wire import watched

    with watched() as calls:
        assert call(handler, "GET", "/metrics").text == exposition
    assert "Query" not in [each.operation for each in calls]


DASHBOARDS = sorted((Path(__file__).resolve().parents[3] / "monitoring" / "grafana").glob("*.json"))


def expressions(dashboard: Any) -> list[str]:
    found = []
    for panel in dashboard["panels"]:
        panels = [panel, *panel.get("panels", ())]
        found += [target["expr"] for each in panels for target in each.get("targets", ())]
    return found


def plain(expression: str) -> str:
    """As Grafana would send it."""
    expression = re.sub(r"\$__(rate_interval|interval|range)|\$\{__\w+\}", "5m", expression)
    return re.sub(r"\$\{?\w+(:\w+)?\}?", ".*", expression)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_every_expression_of_a_dashboard_finds_data(
    path: Path, exposition: str, promtool: Promtool, tmp_path: Path
) -> None:
    dashboard = json.loads(path.read_text())
    asked = expressions(dashboard)
    assert asked
    assert promtool.without_data(map(plain, asked), exposition, tmp_path) == ""
    assert dashboard.keys() >= {"uid", "title", "panels", "schemaVersion", "templating", "time"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_an_expression_without_data_is_found(exposition: str, promtool: Promtool, tmp_path: Path) -> None:
    assert "no_such_series" in promtool.without_data(["sum(no_such_series)"], exposition, tmp_path)


@pytest.mark.usefixtures("quiet_tables")
class TestHealthz:
    def test_is_ok_while_a_model_is_routable(self) -> None:
        answer = ask("/healthz")
        assert (answer.status, answer.text) == (200, "ok")
        assert answer.headers["content-type"].startswith("text/plain")

    def test_is_not_while_none_is(self) -> None:
        from dataclasses import replace

        from operations.figures import views

        known = store.provider("builtin")
        name = f"p-{secrets.token_hex(4)}"
        off = replace(known or BUILTIN_PROVIDER, enabled=False, rev=(known.rev if known else 0) + 1)
        catalogue = store.all_of_it()
        others = [each for each in catalogue.providers.values() if each.enabled and each.id != "builtin"]
        for each in others:
            store.put_provider(replace(each, enabled=False, rev=each.rev + 1))
        store.put_provider(off)
        views().forget()
        assert ask("/healthz").status == 503, name
        store.put_provider(replace(off, enabled=True, rev=off.rev + 1))
        for each in others:
            store.put_provider(replace(each, rev=each.rev + 2))
        views().forget()
        assert ask("/healthz").status == 200


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
def test_the_deployed_function_answers_without_credentials_in_its_own_role(stack: Stack, path: str) -> None:
    answer = stack.request("GET", path)
    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("quiet_tables")
@on_a_loop
async def test_a_late_minute_does_not_look_like_now() -> None:
    """The gauge of what is counted tells the newest minute of all lanes."""
    now = SystemClock().now()
    await roll_up([record(at=now)], TableBooks(), now)
    await roll_up([record(at=now - timedelta(hours=1))], TableBooks(), now)
    assert (await asyncio.to_thread(ask, "/metrics")).status == 200
