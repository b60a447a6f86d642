from collections.abc import Iterator

import pytest

from tests.fakes import upstream as fake


@pytest.fixture(autouse=True)
def _vendors_may_be_near(vendors_may_be_near: None) -> None: ...


@pytest.fixture
def vendor() -> Iterator[fake.Upstream]:
    with fake.upstream() as running:
        yield running
