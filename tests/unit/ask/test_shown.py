"""What is shown of the system: the breaker's word as a status, the log's last minute as figures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quintet.ask.connectors import Heard, integrations, share_healthy, vendors, with_models
from quintet.ask.figures import Minute, minute_of, score, snapshot
from quintet.gateway.catalogue.model import (
    BUILTIN,
    BUILTIN_PROVIDER,
    ECHO,
    ECHO_MODEL,
    Catalogue,
    Model,
    Price,
    Provider,
)
from quintet.gateway.present import Health, Present
from quintet.gateway.view import View

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
THEN = NOW - timedelta(hours=1)


def view(health: Health | None = None, *, enabled: bool = True, configured: bool = True) -> View:
    provider = Provider("openai", "openai", enabled=enabled, updated_at="2026-11-01T00:00:00Z")
    models = [
        Model("gpt-b", "openai", "gpt-b", Price(1, 1)),
        Model("gpt-a", "openai", "gpt-a", Price(1, 1)),
        Model("gpt-off", "openai", "gpt-off", Price(1, 1), enabled=False),
        ECHO_MODEL,
    ]
    catalogue = Catalogue(1, {"openai": provider, BUILTIN: BUILTIN_PROVIDER}, {model.id: model for model in models})
    keys = {BUILTIN: "", **({"openai": "k"} if configured else {})}
    return View(catalogue, Present(1, {"openai": health} if health else {}), keys)


@pytest.mark.parametrize(
    ("seen", "status", "detail"),
    [
        (view(), "healthy", None),
        (view(Health(errors=1)), "healthy", None),
        (view(Health(errors=2)), "degraded", "2 errors in a row"),
        (view(Health(errors=5)), "offline", "5 errors in a row"),
        (view(Health(limited=True, cooldown_until=NOW + timedelta(seconds=9))), "degraded", "asked to be left alone"),
        (view(Health(limited=True, cooldown_until=THEN)), "healthy", None),
        (view(enabled=False), "offline", "disabled"),
        (view(configured=False), "offline", "not configured"),
    ],
)
def test_a_vendors_status_is_the_breakers_word(seen: View, status: str, detail: str | None) -> None:
    builtin, vendor = vendors(seen, {}, NOW)
    assert (vendor.status, vendor.detail) == (status, detail)
    assert builtin.status == "healthy"


def test_the_last_sync_is_the_last_call_or_else_the_last_edit() -> None:
    builtin, called = vendors(view(), {"openai": THEN}, NOW)
    assert (builtin.last_sync, called.last_sync) == (NOW, THEN)
    _, never = vendors(view(), {}, NOW)
    assert never.told() == {
        "name": "openai",
        "type": "openai",
        "status": "healthy",
        "last_sync": "2026-11-01T00:00:00Z",
    }


def test_vendors_list_their_enabled_models() -> None:
    told = {each["name"]: each["models"] for each in with_models(view(), {}, NOW)}
    assert told == {"builtin": [ECHO], "openai": ["gpt-a", "gpt-b"]}


def test_an_integration_is_as_well_as_its_last_call() -> None:
    heard = [Heard("/slack/events", well=THEN), Heard("/slack/events", ill=NOW), Heard("/vapi/webhook", well=THEN)]
    slack, vapi, elevenlabs = integrations(["slack", "vapi"], heard)
    assert (slack.status, slack.last_sync) == ("degraded", NOW)
    assert (vapi.status, vapi.last_sync) == ("healthy", THEN)
    assert (elevenlabs.status, elevenlabs.detail, elevenlabs.told()["last_sync"]) == ("offline", "not configured", None)


def test_health_is_shared_among_those_that_may_be_chosen() -> None:
    assert share_healthy(view()) == 1.0
    assert share_healthy(view(Health(errors=2))) == 0.5
    assert share_healthy(view(Health(errors=9))) == 0.0
    assert share_healthy(view(configured=False)) == 1.0  # only the builtin model is left


def record(status: int, latency: float = 100.0, group: str = "ask", **facts: Any) -> dict[str, Any]:
    return {"group": group, "status": status, "latency_ms": latency, "facts": facts}


def test_figures_are_those_of_the_prompts_last_minute() -> None:
    records = [
        record(200, 1000, sse_events=90),
        record(502, 3000),
        record(401, 0),
        record(200, 0),
        record(200, group="admin", sse_events=1000),
        {"group": "ask", "facts": {}},  # a caller who left before the answer
    ]
    assert snapshot(minute_of(records), 3, 1.0) == {
        "requests_last_minute": 4,
        "error_rate": 0.25,
        "avg_latency_ms": 1000,
        "sse_throughput_eps": 1.5,
        "websocket_sessions": 3,
        "engine_health_score": 0.875,
    }


def test_a_quiet_minute_is_a_healthy_one() -> None:
    assert snapshot(Minute(), 0, 1.0)["engine_health_score"] == 1.0
    assert snapshot(Minute(), 0, 1.0)["avg_latency_ms"] == 0


def test_what_was_not_read_is_extrapolated() -> None:
    assert snapshot(minute_of([record(200)] * 100, seconds=6), 0, 1.0)["requests_last_minute"] == 1000


@pytest.mark.parametrize(
    ("minute", "healthy", "expected"),
    [
        (Minute(10, 0, 10 * 2000.0), 1.0, 1.0),
        (Minute(10, 0, 10 * 4000.0), 1.0, 0.9),
        (Minute(10, 10, 0), 1.0, 0.5),
        (Minute(10, 10, 0), 0.0, 0.2),
        (Minute(10, 10, 10 * 1e12), 0.0, 0.0),
    ],
)
def test_the_score_is_the_documented_one(minute: Minute, healthy: float, expected: float) -> None:
    assert score(minute, healthy) == expected
