from collections.abc import Iterator

import pytest

from tests.fakes import upstream as fake


@pytest.fixture
def vendor() -> Iterator[fake.Upstream]:
    with fake.upstream() as running:
        yield running
