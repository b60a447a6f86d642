"""Limits through the whole app: exact under concurrency and across processes, and told on every answer."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import pytest

from quintet.store.clock import SystemClock
from quintet.store.wire import watched
from tests.asgi import ask
from tests.callers import Answered, order_tokens
from tests.conftest import Stack
from tests.gateway import Answer
from tests.integration.identity.conftest import Caller, Configure
from tests.integration.identity.test_login import issued, keys
from tests.loops import on_a_loop

# The documents' own.
LIMITED = {"detail": "Rate limit exceeded: 100 per 1 minute"}
HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
PROCESSES, EACH = 4, 50


@pytest.mark.usefixtures("function_environment")
def test_two_hundred_at_once_through_four_processes_are_admitted_exactly_to_a_hundred(stack: Stack) -> None:
    """The processes share nothing but the table."""
    secret = issued("policy").secret
    spawned = multiprocessing.get_context("spawn")
    with spawned.Manager() as manager, ProcessPoolExecutor(PROCESSES, spawned) as pool:
        environment, together = stack.system.environment(), manager.Barrier(PROCESSES)
        futures = [pool.submit(order_tokens, environment, secret, EACH, together) for _ in range(PROCESSES)]
        answers: list[Answered] = [answer for future in futures for answer in future.result(60)]
    admitted = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert (len(admitted), len(refused)) == (100, 100)
    assert sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in admitted) == list(range(100))
    assert all(answer.body == LIMITED for answer in refused)
    assert all(0 < int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert all(answer.headers["x-ratelimit-remaining"] == "0" for answer in refused)


@on_a_loop
async def test_a_known_caller_costs_a_write_before_and_the_record_after(function_environment: None) -> None:
    from identity.app import app

    secret = issued("tasks").secret
    profile = partial(ask, app, "GET", "/v1/auth/me", headers={"x-api-key": secret})
    await profile()
    with watched() as calls:
        assert (await profile()).status == 200
    assert [call.operation for call in calls] == ["UpdateItem", "PutItem"]


def limited(answer: Answer, limit: int, remaining: int) -> None:
    assert [answer.headers[name] for name in HEADERS[:2]] == [str(limit), str(remaining)]
    assert 0 < int(answer.headers["x-ratelimit-reset"]) - time.time() <= 3601


@pytest.mark.parametrize(
    ("method", "path", "status", "options"),
    [
        ("POST", "/auth/token", 200, {"json": {"subject": "user123"}}),
        ("POST", "/auth/token", 422, {"json": {}}),
        ("GET", "/auth/token", 405, {}),
        ("POST", "/auth/token", 413, {"body": b"x" * (1 << 20 | 1)}),
    ],
)
def test_every_answer_of_cyborgminds_paths_tells_the_limit(
    caller: Caller, method: str, path: str, status: int, options: dict[str, Any]
) -> None:
    answer = caller(method, path, **options)
    assert answer.status == status
    limited(answer, 100, 99)


@pytest.mark.parametrize(
    ("method", "path", "status", "limit"),
    [
        ("GET", "/v1/auth/me", 401, 1000),
        ("GET", "/v1/auth/nowhere", 404, 1000),
        ("PUT", "/v1/auth/me", 405, 1000),
        ("POST", "/v1/auth/login", 422, 5),
    ],
)
def test_every_answer_of_kyros_paths_tells_the_limit(
    caller: Caller, method: str, path: str, status: int, limit: int
) -> None:
    answer = caller(method, path)
    assert answer.status == status
    limited(answer, limit, limit - 1)


def test_a_permission_that_is_missing_is_told_with_the_limit(caller: Caller, configure: Configure) -> None:
    configure(rate_limit_broker=7)
    answer = caller("GET", "/admin/v1/keys", headers={"X-API-Key": issued("tasks").secret})
    assert answer.status == 403
    limited(answer, 7, 6)


def test_the_sixth_login_in_a_minute_is_turned_away_in_kyros_words(caller: Caller) -> None:
    answers = [caller("POST", "/v1/auth/login", json={}) for _ in range(6)]
    assert [answer.status for answer in answers] == [*[422] * 5, 429]
    last = answers[5]
    limited(last, 5, 0)
    assert last.json()["error"] == {
        "code": "RATE_LIMITED",
        "message": "Rate limit exceeded: 5 per 1 minute",
        "details": {},
    }
    assert 0 < int(last.headers["retry-after"]) <= 60


def test_no_limit_is_no_header(caller: Caller, configure: Configure) -> None:
    configure(rate_limit_policy=0)
    answer = caller("POST", "/auth/token", json={"subject": "user123"})
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_a_key_is_dead_on_the_next_request_also_here(caller: Caller) -> None:
    key = issued("tasks")
    header = {"X-API-Key": key.secret}
    assert caller("GET", "/v1/auth/me", headers=header).status == 200
    keys().revoke(key.key.id, actor="test", now=SystemClock().now())
    answer = caller("GET", "/v1/auth/me", headers=header)
    assert (answer.status, answer.json()["error"]["message"]) == (401, "These credentials have been revoked")
