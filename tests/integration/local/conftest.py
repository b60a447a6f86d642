"""An emulator for the tests of the emulator and of the deploy themselves: they are about ours, whatever `stack` is."""

import os
from collections.abc import Iterator

import pytest

from infra.local.emulator import Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    os.environ["SOMEBODYS_TOKEN"] = "must not be inherited"
    with (tmp_path_factory.mktemp("emulator") / "log").open("w") as log, Emulator(log=log) as emulator:
        del os.environ["SOMEBODYS_TOKEN"]
        yield emulator
