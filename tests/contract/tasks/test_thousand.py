"""A thousand tasks: a list reads what it answers, whatever its filter and order, and does not take long for it."""

import itertools
import random
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from quintet.http.entry import kept_loop
from quintet.identity.keys import Keys
from quintet.identity.store import keys as key_table
from quintet.settings import settings
from quintet.store import wire
from quintet.store.ids import new_id
from quintet.tasks.model import PRIORITIES, ROLES, TYPES, Filters, Order, SortBy, Status, Task
from quintet.tasks.store import tasks
from tests.gateway import Answer, call

pytestmark = pytest.mark.usefixtures("quiet_tables")

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
MANY, PAGE = 1000, 50


def test_a_list_among_a_thousand_tasks(quiet_tables: None) -> None:
    made = _made(secrets.token_hex(4))
    kept_loop().run_until_complete(_measure(made))
    issued = Keys(key_table, settings().stage).issue("list", "ada", roles=["developer"], actor="test", now=NOW)
    ask = partial(call, handler(), "GET", headers={"X-API-Key": issued.secret})
    listing = partial(ask, "/v1/tasks?status=pending")
    getting = partial(ask, f"/v1/tasks/{made[500].id}")
    quick, one = _typical(listing), _typical(getting)
    assert quick <= 4 * one, (quick, one)  # the emulator looks at every key of a partition, however few are asked for


def handler() -> Any:
    from tasks.app import handler

    return handler


async def _measure(made: list[Task]) -> None:
    """Of keys, a hundred are one unit; a head is one; a total is eight."""
    creator = made[0].created_by
    filters = [
        Filters(),
        Filters(created_by=creator),
        Filters(tags=("api",)),
        *(Filters(status=status) for status in (Status.PENDING, Status.COMPLETED)),
        Filters(type="review"),
        Filters(priority="high"),
        Filters(role="critic"),
        Filters(status=Status.PENDING, type="review"),
        Filters(status=Status.PENDING, type="review", priority="high", role="critic"),
    ]
    for each, by, descending in itertools.product(filters, SortBy, (True, False)):
        if (each.tags and by is not SortBy.CREATED) or (each.created_by and by is SortBy.PRIORITY):
            continue  # these read the whole of the tag's, or of the creator's
        with wire.watched(capacity=True) as calls:
            page = await tasks.page(each, Order(by, descending), PAGE)
        assert page.total >= len(page.tasks)
        assert sum(call.units for call in calls) <= len(page.tasks) + 8 + 4, (each, by)


def _typical(ask: Callable[[], Answer]) -> float:
    taken = []
    for _ in range(60):
        began = time.perf_counter()
        assert ask().status == 200
        taken.append(time.perf_counter() - began)
    return sorted(taken)[30]


def _made(word: str) -> list[Task]:
    chance = random.Random(word)
    new = []
    for number in range(MANY):
        now = NOW + timedelta(seconds=number)
        new.append(
            Task(
                id=new_id("task", now),
                title=f"task {number}",
                description="x" * 2000,
                created_at=now,
                created_by=f"ada-{word}",
                updated_at=now + timedelta(days=chance.randrange(9)),
                type=chance.choice(TYPES),
                status=chance.choice(list(Status)),
                priority=chance.choice(PRIORITIES),
                assignee_role=chance.choice(ROLES),
                tags=("api",) if number % 2 else (),
                deadline=now + timedelta(days=chance.randrange(9)) if number % 3 else None,
            )
        )
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda task: tasks.add(task, None), new))
    return [replace(task) for task in new]
