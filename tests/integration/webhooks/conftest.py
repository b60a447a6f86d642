"""A receiver that listens while the test does other things."""

from collections.abc import Iterator

import pytest

from tests.fakes.webhooks import Receiver, listening_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening_receiver() as one:
        yield one
