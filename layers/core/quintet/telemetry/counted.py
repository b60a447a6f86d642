"""The counters and histograms of the exposition, from what series came to since ever."""

from collections.abc import Mapping

from quintet.telemetry.exposition import Metric, counter, histogram
from quintet.telemetry.rules import BANDIT, CALLS, CONNECTIONS, ENDPOINTS, FAILURES, GROUPS, REWARD_UNIT
from quintet.telemetry.series import Amounts, Series, added

_NANO = 1_000_000_000
_STREAM = "/stream"  # where cyborgmind.md's WebSocket is

Totals = Mapping[Series, Amounts]

FAMILIES = (ENDPOINTS, GROUPS, CONNECTIONS, CALLS, FAILURES, BANDIT)


def counted(totals: Mapping[str, Totals]) -> list[Metric]:
    """By family."""
    return [
        *_endpoints(totals[ENDPOINTS]),
        *_connections(totals[CONNECTIONS]),
        *_groups(totals[GROUPS]),
        *_calls(totals[CALLS]),
        *_failures(totals[FAILURES]),
        *_rewards(totals[BANDIT]),
    ]


def _endpoints(totals: Totals) -> list[Metric]:
    """cyborgmind.md's."""
    requests = counter("request_count_total", "Total requests by endpoint")
    latency = histogram("request_latency_seconds", "Request latency")
    by_endpoint: dict[str, list[Amounts]] = {}
    for series, amounts in sorted(totals.items()):
        requests.add(amounts.get("n", 0), endpoint=series["endpoint"], status=series["status"])
        by_endpoint.setdefault(series["endpoint"], []).append(amounts)
    for endpoint, each in by_endpoint.items():
        latency.observed(added(*each), "latency", endpoint=endpoint)
    return [requests, latency]


def _connections(totals: Totals) -> list[Metric]:
    cyborg = counter("cyborg_websocket_connections_total", "WebSocket connections to /stream by how they began")
    ours = counter("quintet_websocket_connections_total", "WebSocket connections by endpoint and how they began")
    for series, amounts in sorted(totals.items()):
        ours.add(amounts.get("n", 0), endpoint=series["endpoint"], status=series["status"])
        if series["endpoint"] == _STREAM:
            cyborg.add(amounts.get("n", 0), status=series["status"])
    return [cyborg, ours]


def _groups(totals: Totals) -> list[Metric]:
    requests = counter("quintet_requests_total", "Requests by group of the API and class of status")
    latency = histogram("quintet_request_latency_seconds", "Time to the end of the answer by group of the API")
    for series, amounts in sorted(totals.items()):
        for hundreds in range(1, 6):
            if number := amounts.get(f"s{hundreds}", 0):
                requests.add(number, group=series["group"], status=f"{hundreds}xx")
        latency.observed(amounts, "latency", group=series["group"])
    return [requests, latency]


def _calls(totals: Totals) -> list[Metric]:
    calls = counter("quintet_model_calls_total", "Model calls by outcome")
    latency = histogram("quintet_model_latency_seconds", "Time to the end of a model's answer")
    first = histogram("quintet_model_first_token_seconds", "Time to the first piece of a streamed answer")
    overhead = histogram("quintet_gateway_overhead_seconds", "Time that the gateway itself adds to a model call")
    tokens = counter("quintet_tokens_total", "Tokens that models took and gave")
    cached = counter("quintet_cached_tokens_total", "Input tokens that a vendor had cached")
    reasoning = counter("quintet_reasoning_tokens_total", "Output tokens that a model thought with")
    cost = counter("quintet_cost_usd_total", "What model calls cost, in USD")
    by_provider: dict[str, list[Amounts]] = {}
    for series, amounts in sorted(totals.items()):
        names = {"model": series["model"], "provider": series["provider"]}
        errors, cut = amounts.get("errors", 0), amounts.get("cut", 0)
        calls.add(amounts.get("n", 0) - errors - cut, **names, status="ok")
        calls.add(errors, **names, status="error")
        calls.add(cut, **names, status="cut")
        latency.observed(amounts, "latency", **names)
        first.observed(amounts, "first_token", **names)
        tokens.add(amounts.get("input", 0), **names, kind="input")
        tokens.add(amounts.get("output", 0), **names, kind="output")
        cached.add(amounts.get("cached", 0), **names)
        reasoning.add(amounts.get("reasoning", 0), **names)
        cost.add(amounts.get("cost", 0) / _NANO, **names)
        by_provider.setdefault(series["provider"], []).append(amounts)
    for provider, each in by_provider.items():
        overhead.observed(added(*each), "overhead", provider=provider)
    return [calls, latency, first, overhead, tokens, cached, reasoning, cost]


def _failures(totals: Totals) -> list[Metric]:
    failures = counter(
        "quintet_failed_attempts_total", "Attempts at a model that failed, also where another one answered"
    )
    for series, amounts in sorted(totals.items()):
        failures.add(amounts.get("n", 0), **dict(series.labels))
    return [failures]


def _rewards(totals: Totals) -> list[Metric]:
    number = counter("quintet_rewards_total", "Rewarded model calls by size of the question")
    total = counter("quintet_reward_sum_total", "The sum of their rewards, each between 0 and 1")
    for series, amounts in sorted(totals.items()):
        number.add(amounts.get("n", 0), **dict(series.labels))
        total.add(max(0, amounts.get("reward", 0)) / REWARD_UNIT, **dict(series.labels))
    return [number, total]
