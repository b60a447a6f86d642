"""A key of the seeded stack and the front that serves it; fronts beside it, with settings and vendors of their own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from socket import socket

import pytest

from infra.local.system import System, listen
from quintet.gateway.catalogue import store as catalogue
from quintet.gateway.catalogue.model import Model, Price, Provider
from quintet.settings import settings
from tests.conftest import Stack, copy_tables
from tests.fakes import upstream as fake


@pytest.fixture(scope="session")
def key(stack: Stack) -> str:
    """`RYUZEN_KEY` of the seed."""
    return stack.keys["RYUZEN_KEY"]


@pytest.fixture
def keyed(key: str) -> dict[str, str]:
    return {"X-Ryuzen-Key": key}


class Beside(System):
    """Over the same emulator, on tables of its own."""

    def __init__(self, stack: Stack, listening: Sequence[socket], changes: Mapping[str, str]) -> None:
        super().__init__(stack.endpoint, listening)
        self._deployed = stack.system.deployed
        self._changes = {**changes, "PUBLIC_URL": self.url, "SOCKETS_URL": f"{self.url}/{self._key}"}

    def environment(self) -> dict[str, str]:
        return super().environment() | self._changes


@dataclass(frozen=True, slots=True)
class Served:
    """`environment` is what a function behind it sees."""

    url: str
    key: str
    environment: Mapping[str, str]

    @property
    def socket(self) -> str:
        return self.url.replace("http", "ws") + "/ws/stream"

    @property
    def keyed(self) -> dict[str, str]:
        return {"X-Ryuzen-Key": self.key}


Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def serve(stack: Stack) -> Iterator[Serve]:
    """`serve("name", vendor, rate_limit_ask=20)`: a front with these settings; the vendor has `story` and `tale`."""
    with ExitStack() as parts:

        def serving(name: str, vendor: fake.Upstream | None = None, **changes: object) -> Served:
            prefix = copy_tables(stack, f"{name}-")
            listening = [parts.enter_context(each) for each in listen(0)]
            given = {setting.upper(): str(value) for setting, value in changes.items()}
            system = Beside(stack, listening, {**given, "TABLE_PREFIX": prefix})
            served = Served(system.url, system.seed()["RYUZEN_KEY"], system.environment())
            if vendor is not None:
                _fill(system, vendor)
            parts.callback(system.front().stop)
            return served

        yield serving


def _fill(system: System, vendor: fake.Upstream) -> None:
    provider = Provider("vendor", "openai", base_url=vendor.openai, updated_at="2026-11-01T00:00:00Z")
    models = [Model(name, "vendor", name, Price(1, 1, version="1"), max_output=1_000_000) for name in ("story", "tale")]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in system.environment().items():
            if name != "PYTHONPATH":
                patch.setenv(name, value)
        settings.cache_clear()
        catalogue.fill([provider], models)
    settings.cache_clear()
