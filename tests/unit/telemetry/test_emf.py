"""What CloudWatch is told of models."""

import json
from datetime import UTC, datetime
from typing import Any

from quintet.telemetry import emf

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
CALL = {
    "call_id": "call_1",
    "model": "small",
    "provider": "vendor",
    "status": "ok",
    "input_tokens": 12,
    "output_tokens": 5,
    "cost": 1_500_000,
    "latency_ms": 300.0,
    "overhead_ms": 4.5,
}


def lines(*calls: Any) -> list[dict[str, Any]]:
    record = {"group": "ask", "request_id": "req_1", "facts": {"calls": list(calls)}}
    return [json.loads(line) for line in emf.call_lines(AT, record)]


def test_a_call_tells_its_cost_tokens_and_our_own_time_under_its_model() -> None:
    (line,) = lines(CALL)
    (definition,) = line["_aws"]["CloudWatchMetrics"]
    assert definition["Dimensions"] == [["Stack", "Model", "Provider"]]
    assert {each["Name"]: each["Unit"] for each in definition["Metrics"]} == emf.CALL
    assert (line["Stack"], line["Model"], line["Provider"]) == ("quintet", "small", "vendor")
    assert (line["CallCost"], line["InputTokens"], line["OutputTokens"]) == (0.0015, 12, 5)
    assert (line["CallLatency"], line["CallOverhead"], line["CallFailures"]) == (300.0, 4.5, 0)
    assert (line["request_id"], line["call_id"], line["group"]) == ("req_1", "call_1", "ask")


def test_what_is_not_known_is_not_told_as_nothing() -> None:
    (line,) = lines({"model": "small", "provider": "vendor", "status": "error", "input_tokens": None})
    assert {each["Name"] for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]} == {"CallFailures"}
    assert line["CallFailures"] == 1


def test_a_call_that_reached_no_model_makes_no_metric() -> None:
    assert lines({"model": None, "provider": None, "status": "error"}) == []
    assert list(emf.call_lines(AT, {"group": "ask"})) == []
