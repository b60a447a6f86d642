from collections.abc import Iterator

import pytest

from quintet.settings import settings
from tests.fakes import upstream as fake


@pytest.fixture(autouse=True)
def _vendors_are_near(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """They listen on loopback, where no stack calls unless it is told to."""
    monkeypatch.setenv("MODELS_MAY_BE_PRIVATE", "true")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def vendor() -> Iterator[fake.Upstream]:
    with fake.upstream() as running:
        yield running
