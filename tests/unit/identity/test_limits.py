"""Which limit a request counts against."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Kind
from quintet.http.dialects import dialect_of
from quintet.identity.limits import Limit, Tally, address_account, exceeded, headers_of, is_public, limit_of
from quintet.settings import Settings

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
SETTINGS = Settings()


def of(method: str, path: str, settings: Settings = SETTINGS) -> Limit | None:
    return limit_of(method, path, dialect_of(path), settings)


@pytest.mark.parametrize(
    ("request_line", "group", "most", "seconds"),
    [
        ("POST /v1/auth/login", "auth", 5, 60),
        ("POST /v1/auth/token", "auth", 5, 60),
        ("POST /v1/auth/refresh", "auth", 5, 60),
        ("GET /v1/auth/me", "default", 1000, 60),
        ("GET /v1/auth/oauth2/google", "default", 1000, 60),
        ("POST /auth/token", "policy", 100, 60),
        ("POST /step", "policy", 100, 60),
        ("POST /step_batch", "policy", 100, 60),
        ("POST /reset", "policy", 100, 60),
        ("POST /fork", "policy", 100, 60),
        ("GET /agents/a1", "policy", 100, 60),
        ("POST /api/v1/ask", "ask", 1000, 60),
        ("GET /api/v1/models", "ask", 1000, 60),
        ("POST /v1/tasks", "task_creation", 100, 3600),
        ("GET /v1/tasks", "default", 1000, 60),
        ("PUT /v1/tasks/task_1", "default", 1000, 60),
        ("POST /v1/models/select", "model_selection", 200, 3600),
        ("GET /v1/models", "default", 1000, 60),
        ("GET /v1/monitoring/costs", "monitoring", 1000, 3600),
        ("POST /v1/webhooks", "webhooks", 100, 60),
        ("DELETE /v1/webhooks/webhook_1", "webhooks", 100, 60),
        ("GET /v1/escalations", "default", 1000, 60),
        ("GET /v1/no/such/path", "default", 1000, 60),
    ],
)
def test_each_group_has_its_documented_limit(request_line: str, group: str, most: int, seconds: int) -> None:
    method, path = request_line.split()
    limit = of(method, path)
    assert limit is not None
    assert (limit.group, limit.most, limit.seconds) == (group, most, seconds)


@pytest.mark.parametrize("path", ["/health", "/healthz", "/metrics", "/console", "/console/app.js", "/api/v1/health"])
def test_probes_and_pages_are_public(path: str) -> None:
    assert is_public(path)


@pytest.mark.parametrize("path", ["/healthy", "/v1/health", "/consoles", "/metrics/x", "/admin/v1/health"])
def test_what_is_named_alike_is_not(path: str) -> None:
    assert not is_public(path)


@pytest.mark.parametrize(
    "path",
    ["/chat/completions", "/api/personas", "/vapi/webhook", "/v1/chat", "/v1/plan", "/admin/v1/keys", "/nowhere"],
)
def test_personas_and_the_broker_have_no_limit_until_one_is_set(path: str) -> None:
    assert of("POST", path) is None
    limited = replace(SETTINGS, rate_limit_personas=7, rate_limit_broker=7)
    limit = of("POST", path, limited)
    assert limit is not None
    assert limit.most == 7


def test_zero_means_no_limit() -> None:
    assert of("POST", "/step", replace(SETTINGS, rate_limit_policy=0)) is None


def test_logins_are_counted_by_address_alone() -> None:
    by_address = {path: of("POST", path) for path in ("/v1/auth/login", "/v1/auth/token", "/v1/auth/refresh", "/step")}
    assert [path for path, limit in by_address.items() if limit and limit.by_address] == list(by_address)[:3]


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("203.0.113.7", "ip#203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "ip#2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "ip#2001:db8:1:2::/64"),
        ("fe80::1%eth0", "ip#fe80::/64"),
        ("::ffff:203.0.113.7", "ip#203.0.113.7"),
        ("", "ip#unknown"),
        ("not:an:address", "ip#unknown"),
    ],
)
def test_a_network_of_ipv6_is_one_caller(address: str, account: str) -> None:
    assert address_account(address) == account


def test_the_headers_say_when_it_is_safe_to_come_back() -> None:
    tally = Tally(True, 99, NOW + timedelta(milliseconds=60_001))
    assert headers_of(Limit("policy", 100, 60), tally) == {
        "x-ratelimit-limit": "100",
        "x-ratelimit-remaining": "99",
        "x-ratelimit-reset": str(int(NOW.timestamp()) + 61),
    }


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (Limit("policy", 100, 60), "Rate limit exceeded: 100 per 1 minute"),
        (Limit("task_creation", 100, 3600), "Rate limit exceeded: 100 per 1 hour"),
    ],
)
def test_a_refusal_says_what_the_limit_is_and_when_it_ends(limit: Limit, message: str) -> None:
    failure = exceeded(limit, Tally(False, 0, NOW + timedelta(seconds=12.5)), NOW)
    assert (failure.kind, failure.message, failure.retry_after) == (Kind.LIMITED, message, 12.5)
