"""Settings of a test's own choice."""

from collections.abc import Callable, Iterator

import pytest

from quintet.settings import Settings, settings

SECRET = "your-production-secret-key-min-32-chars"  # as cyborgmind.md's configuration has it

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """`configure(rate_limit_policy=3)`: what the environment says from now on."""
    for name in Settings.names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JWT_SECRET", SECRET)

    def set_(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), str(value))
        settings.cache_clear()

    set_()
    yield set_
    settings.cache_clear()
