"""A receiver that listens while the test does other things."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.fakes.webhooks import Receiver, receiving, says


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """On a loop of its own."""
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()
    found: list[Receiver] = []

    async def run() -> None:
        async with receiving(says(200)) as one:
            found.append(one)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait()
    yield found[0]
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()
