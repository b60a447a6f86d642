"""The Grafana dashboard asks for what GET /metrics offers, and shows all that cyborgmind.md lists."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

# cyborgmind.md's metrics, with the labels that they have.
OFFERED = {
    "request_count_total": {"endpoint", "status"},
    "request_latency_seconds_bucket": {"endpoint", "le"},
    "cyborg_websocket_connections_total": {"status"},
}
STATUSES = {"success", "error", "auth_failed"}
FUNCTIONS = {"by", "or", "sum", "rate", "histogram_quantile", "vector"}


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads((Path(__file__).parents[2] / "monitoring/grafana/cyborg_api.json").read_text())


def expressions(dashboard: Any) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_it_shows_what_the_document_lists(dashboard: Any) -> None:
    titles = {panel["title"] for panel in dashboard["panels"]}
    assert titles >= {"Request rate", "Latency", "Error rate", "Auth failure rate", "Inference throughput"}
    (latency,) = (panel for panel in dashboard["panels"] if panel["title"] == "Latency")
    assert [target["legendFormat"] for target in latency["targets"]] == ["p50", "p95", "p99"]


def test_it_asks_for_nothing_that_is_not_offered(dashboard: Any) -> None:
    for expression in expressions(dashboard):
        assert set(re.findall(r'status="(\w+)"', expression)) <= STATUSES
        words = set(re.findall(r"[a-z_]{2,}", re.sub(r'"[^"]*"', "", expression)))
        (metric,) = words & OFFERED.keys()
        assert words - FUNCTIONS <= {metric} | OFFERED[metric]


def test_what_may_not_have_happened_yet_is_zero_and_no_gap(dashboard: Any) -> None:
    for expression in expressions(dashboard):
        if re.search(r'status="(error|auth_failed)"|websocket', expression):
            assert "or vector(0)" in expression


def test_every_panel_has_a_place_and_a_source(dashboard: Any) -> None:
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}
    assert len(places) == len(dashboard["panels"]) == len({panel["id"] for panel in dashboard["panels"]})
    assert all(
        target["datasource"]["uid"] == "${datasource}" for panel in dashboard["panels"] for target in panel["targets"]
    )
