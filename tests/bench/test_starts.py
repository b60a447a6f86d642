"""No function may come to start much slower than the least that FastAPI and Mangum can do. `make bench` has figures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.artefact import Subject, folders, subjects
from tests.bench.cold import GOALS, HELLO, start

MOST = 2.0  # times hello, in CPU time: today's are below one


@pytest.mark.parametrize("subject", [one for one in subjects() if not one.heavy], ids=lambda one: str(one.name))
def test_a_function_starts_lean(subject: Subject, artefact: Path) -> None:
    """A busy machine may spoil a sample, so the best of a few counts."""
    path = folders(artefact)
    for _ in range(3):
        hello, ours = start(HELLO, path, sys.executable), start(subject, path, sys.executable)
        if ours["init_cpu_ms"] <= MOST * hello["init_cpu_ms"]:
            break
    else:
        pytest.fail(f"{ours['init_cpu_ms']:.0f} ms of CPU to start, hello takes {hello['init_cpu_ms']:.0f}")
    assert ours["peak_mb"] <= GOALS["peak_mb"]


def test_no_start_imports_the_first_pydantic(repository: Path) -> None:
    look = "import sys, identity.app; sys.exit('pydantic.v1' in sys.modules)"
    path = {"PYTHONPATH": f"{repository}/layers/core:{repository}/functions"}
    subprocess.run([sys.executable, "-c", look], env={**os.environ, **path}, check=True)
