"""What CloudWatch is told, as lines of its embedded metric format.

Its names and dimensions are few: every combination costs money for as long as it is told of.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from quintet.http.exchange import Exchange
from quintet.settings import settings
from quintet.store.meter import used
from quintet.telemetry.rules import calls_of

NAMESPACE = "Quintet"
STACK = "Stack"
# Of a request, by the group of the API. CloudWatch counts samples: the latencies tell how many requests there were.
REQUEST = {"Latency": "Milliseconds", "Failures": "Count", "Refusals": "Count", "Exhausted": "Count"}
REQUEST_DIMENSIONS = ("Group",)
# Of a call of a model. Only the catalogue's models are called, so that nobody makes names up.
CALL = {
    "CallLatency": "Milliseconds",
    "CallOverhead": "Milliseconds",
    "CallFailures": "Count",
    "CallCost": "None",
    "InputTokens": "Count",
    "OutputTokens": "Count",
}
CALL_DIMENSIONS = ("Model", "Provider")
LINE_BYTES = 26  # that CloudWatch charges for beside each line's own
_NANO = 1_000_000_000
_encode = json.JSONEncoder(separators=(",", ":")).encode


def request_line(exchange: Exchange) -> str:
    """Failures are ours (5xx), refusals the caller's (4xx); exhausted is a refusal for want of budget."""
    status, failure = exchange.status, exchange.failure
    amounts = {
        "Latency": round(exchange.elapsed_ms(), 3),
        "Failures": int(status >= 500),
        "Refusals": int(400 <= status < 500),
        "Exhausted": int(failure is not None and failure.kind.value == "exhausted"),
    }
    return _line(
        exchange.at, {"Group": exchange.group}, REQUEST, amounts, {"status": status, "request_id": exchange.request_id}
    )


def call_lines(at: datetime, record: Mapping[str, Any]) -> Iterator[str]:
    """One for each call of a model."""
    for call in calls_of(record):
        cost = call.get("cost")
        amounts = {
            "CallLatency": call.get("latency_ms"),
            "CallOverhead": call.get("overhead_ms"),
            "CallFailures": int(call.get("status") == "error"),
            "CallCost": None if cost is None else cost / _NANO,  # USD, which CloudWatch has no unit for
            "InputTokens": call.get("input_tokens"),
            "OutputTokens": call.get("output_tokens"),
        }
        told = {name: amount for name, amount in amounts.items() if amount is not None}
        beside = {"group": record.get("group"), "request_id": record.get("request_id"), "call_id": call.get("call_id")}
        yield _line(at, {"Model": str(call["model"]), "Provider": str(call["provider"])}, CALL, told, beside)


def say(line: str) -> None:
    used("log_byte", len(line) + LINE_BYTES)
    print(line, flush=True)  # noqa: T201 - CloudWatch reads the log


def _line(
    at: datetime,
    dimensions: Mapping[str, str],
    units: Mapping[str, str],
    amounts: Mapping[str, Any],
    beside: Mapping[str, Any],
) -> str:
    """`beside` can be searched in the log and is no dimension."""
    defined = _defined(tuple(dimensions), tuple((name, units[name]) for name in amounts))
    told = _encode({**beside, STACK: settings().table_prefix.rstrip("-"), **dimensions, **amounts})
    return f'{{"_aws":{{"Timestamp":{round(at.timestamp() * 1000)},"CloudWatchMetrics":[{defined}]}},{told[1:]}'


@cache
def _defined(dimensions: tuple[str, ...], units: tuple[tuple[str, str], ...]) -> str:
    """What does not change from line to line is written once."""
    metrics = [{"Name": name, "Unit": unit} for name, unit in units]
    return _encode({"Namespace": NAMESPACE, "Dimensions": [[STACK, *dimensions]], "Metrics": metrics})
