"""Many events to many endpoints of which half are ill: the others notice nothing, and nothing is forgotten."""

import asyncio
from collections.abc import Iterator

import pytest

from quintet.net import client
from quintet.settings import settings
from quintet.webhooks import delivering as module
from tests.fakes.storm import HEALTHY, ILL, SPEED, storm

EVENTS = 600  # 60 for every endpoint, more than its minute holds; all ten thousand are in tests/bench/webhooks.py
TRIES = 2  # the machine may have been busy with something else


@pytest.fixture(autouse=True)
def receivers_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WEBHOOK_LOCAL_RECEIVERS", "true")
    monkeypatch.setattr(module, "SECONDS", 15 / SPEED)
    settings.cache_clear()
    yield
    settings.cache_clear()
    client.close_all()


def test_the_ill_delay_nobody_and_have_their_whole_story() -> None:
    ratios = []
    for _ in range(TRIES):
        healthy, stormy = asyncio.run(storm(EVENTS, ill=False)), asyncio.run(storm(EVENTS, ill=True))
        assert healthy.missing() == stormy.missing() == 0
        assert stormy.untold() == []
        ratios.append(stormy.seconds / healthy.seconds)
        if ratios[-1] < 2:
            break
    assert min(ratios) < 2, ratios
    assert (stormy.count(HEALTHY), stormy.count(*ILL)) == (25, 25)
