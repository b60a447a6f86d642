"""Callers of the personas function, through its handler."""

import secrets
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from quintet.settings import settings
from tests.gateway import Answer, call

Configure = Callable[..., None]


class Caller(Protocol):
    def __call__(self, method: str, target: str, **options: Any) -> Answer: ...


@pytest.fixture
def configure(function_environment: None, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """`configure(open_access=False)`: over what the deployed functions were told."""

    def set_(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), str(value))
        settings.cache_clear()

    return set_


@pytest.fixture
def caller(function_environment: None) -> Caller:
    def ask(method: str, target: str, **options: Any) -> Answer:
        import personas.app

        return call(personas.app.handler, method, target, **options)

    return ask


@pytest.fixture
def phone() -> str:
    """Nobody else's."""
    return f"+1{secrets.randbelow(10**12):012d}"
