"""A key of the seeded stack, and the front that serves it."""

import pytest

from tests.conftest import Stack


@pytest.fixture(scope="session")
def key(stack: Stack) -> str:
    """`RYUZEN_KEY` of the seed."""
    return stack.system.seed()["RYUZEN_KEY"]


@pytest.fixture
def keyed(key: str) -> dict[str, str]:
    return {"X-Ryuzen-Key": key}
