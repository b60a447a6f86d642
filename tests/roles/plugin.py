"""Notes when each test ran and how it ended; a test in which a role was refused something has failed."""

import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.roles import DECISIONS, TESTS, wanted

_begun: dict[str, float] = {}


@pytest.fixture(autouse=True)
def _nothing_is_refused() -> Iterator[None]:
    folder = wanted()
    assert folder is not None
    notes = folder / DECISIONS
    before = notes.stat().st_size if notes.exists() else 0
    yield
    refused = {f"{role}: {action} on {resource}" for role, action, resource in _refused(notes, before)}
    assert not refused, f"refused: {refused}"


def _refused(notes: Path, before: int) -> Iterator[tuple[str, str, str]]:
    if notes.exists():
        with notes.open() as lines:
            lines.seek(before)
            for line in lines:
                _, role, action, resource, allowed = json.loads(line)
                if not allowed:
                    yield role, action, resource


def pytest_runtest_logstart(nodeid: str) -> None:
    _begun[nodeid] = time.time()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    folder = wanted()
    assert folder is not None
    if report.when == "teardown" or report.outcome != "passed":
        told = [item.nodeid, report.when, report.outcome, _begun[item.nodeid], time.time()]
        with (folder / TESTS).open("a") as notes:
            print(json.dumps(told), file=notes)
    return report
