"""`make run` from start to end, in a copy of the checkout: nothing of it is left, however it ends."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from infra.local.emulator import Emulator, Endpoint
from tests.gateway import event
from tests.processes import alive, eventually, family

READY_SECONDS = 180.0
PATIENCE = 90.0


@dataclass(frozen=True)
class Checkout:
    root: Path
    scratch: Path  # its TMPDIR

    def file(self, name: str) -> Path:
        return self.root / ".local" / name

    def facts(self, name: str = "dev.env") -> dict[str, str]:
        lines = self.file(name).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join(str(self.root / part) for part in ("layers/core", "functions", ""))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return subprocess.Popen(
            command or [sys.executable, "-m", "infra.local.run", "--port", "0"],
            cwd=self.root,
            env={**kept, "PYTHONPATH": path, "TMPDIR": str(self.scratch), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Ready, and stopped at the end if it is not yet."""
        before = self.announced()
        with self.start(*command, **environment) as process:
            try:
                eventually(lambda: self.announced() not in {before, ""} or process.poll() is not None, READY_SECONDS)
                assert process.poll() is None, process.communicate()[0]
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    process.communicate(timeout=PATIENCE)

    def announced(self) -> str:
        return self.file("dev.env").read_text() if self.file("dev.env").exists() else ""

    def nothing_left(self) -> bool:
        return not list(self.scratch.iterdir())


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Checkout:
    root, scratch = tmp_path / "checkout", tmp_path / "tmp"
    scratch.mkdir()
    root.mkdir()
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("functions", "layers", "infra", "policies", "requirements"):
        shutil.copytree(repository / name, root / name, ignore=skipped)
    for name in ("template.yaml", "Makefile"):
        shutil.copy(repository / name, root / name)
    if (repository / ".tools").exists():
        (root / ".tools").symlink_to(repository / ".tools")
    return Checkout(root, scratch)


def health(facts: dict[str, str]) -> Any:
    return requests.get(facts["BASE_URL"] + "/health", timeout=PATIENCE).json()


def endpoint(facts: dict[str, str]) -> Endpoint:
    found = Endpoint.named(facts)
    assert found is not None
    return found


def test_serves_until_it_is_told_to_stop_and_leaves_nothing(checkout: Checkout) -> None:
    with checkout.running() as process:
        facts = checkout.facts()
        assert health(facts)["status"] == "healthy"
        assert health({"BASE_URL": facts["BASE_URL"].replace("127.0.0.1", "localhost")})["status"] == "healthy"
        assert facts["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
        assert stat.S_IMODE(checkout.file("dev.env").stat().st_mode) == 0o600
        members = family(process.pid)
        assert len(members) >= 3  # itself, the emulator, the front
        stopped_by(process, signal.SIGTERM)
    assert not any(alive(pid) for pid in members)
    assert checkout.nothing_left()
    assert sorted(path.suffix for path in checkout.file("").iterdir()) == [".log"]


def stopped_by(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.send_signal(number)  # impatience changes nothing
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in output


def test_stops_at_once_while_it_is_still_starting(checkout: Checkout) -> None:
    with checkout.start() as process:
        assert process.stdout is not None
        process.stdout.readline()  # starting the emulator
        members = eventually(lambda: found if len(found := family(process.pid)) > 1 else None)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    # A child that was being started at that very moment finds nobody who tells it anything, and ends.
    eventually(lambda: not any(alive(pid) for pid in members))
    assert checkout.nothing_left()
    assert not checkout.file("dev.env").exists()


def test_a_port_in_use_is_one_clear_line_before_anything_starts(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = checkout.start(sys.executable, "-m", "infra.local.run", "--port", port)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert output == f"make run: port {port} cannot be used: Address already in use; try PORT=...\n"
    assert not checkout.file("").exists()


def test_some_run_side_by_side_and_dev_env_is_the_latest(checkout: Checkout) -> None:
    with checkout.running() as earliest:
        first = checkout.facts()
        with checkout.running() as later:
            second = checkout.facts()
            assert health(first)["status"] == health(second)["status"] == "healthy"
            assert len(list(checkout.file("").glob("dev-*.env"))) == 2
            stopped_by(later, signal.SIGINT)
        assert not checkout.file("dev.env").exists()
        port = first["BASE_URL"].rpartition(":")[2]
        assert checkout.facts(f"dev-{port}.env") == first
        assert health(first)["status"] == "healthy"
        with checkout.running():
            latest = checkout.facts()
            stopped_by(earliest, signal.SIGINT)
            assert checkout.facts() == latest


def test_a_kill_loses_no_data_leaves_no_children_and_nobody_else_may_keep_it(checkout: Checkout) -> None:
    with checkout.running(KEEP="1") as process:
        facts = checkout.facts()
        before = _signing_secret(endpoint(facts))
        tables = endpoint(facts).client("dynamodb")
        tables.put_item(TableName="quintet-events", Item={"pk": {"S": "kept"}, "sk": {"S": "1"}})
        saved = checkout.file("data") / "state" / "dynamodb.json"
        eventually(lambda: '"kept"' in saved.read_text())
        assert stat.S_IMODE(checkout.file("data").stat().st_mode) == 0o700
        second = checkout.start(KEEP="1")
        output, _ = second.communicate(timeout=PATIENCE)
        assert second.returncode == 1
        assert "another run keeps its data" in output
        members = family(process.pid)
        process.kill()
        process.communicate(timeout=PATIENCE)
        eventually(lambda: not any(alive(pid) for pid in members))
        eventually(checkout.nothing_left)
    with checkout.running(KEEP="1"):
        facts = checkout.facts()
        tables = endpoint(facts).client("dynamodb")
        found = tables.get_item(TableName="quintet-events", Key={"pk": {"S": "kept"}, "sk": {"S": "1"}})
        assert found["Item"] == {"pk": {"S": "kept"}, "sk": {"S": "1"}}
        assert _signing_secret(endpoint(facts)) == before
        assert health(facts)["status"] == "healthy"


def _signing_secret(where: Endpoint) -> str:
    secrets = where.client("secretsmanager")
    names = [each["Name"] for each in secrets.list_secrets()["SecretList"] if "SigningSecret" in each["Name"]]
    return str(secrets.get_secret_value(SecretId=names[0])["SecretString"])


def test_edited_code_is_served_and_broken_code_is_not(checkout: Checkout) -> None:
    code = checkout.root / "functions" / "operations" / "app.py"
    written = code.read_text()
    with checkout.running():
        facts = checkout.facts()
        code.write_text(written.replace('"healthy"', '"edited"'))
        eventually(lambda: health(facts)["status"] == "edited")
        code.write_text(written + "\nimport nowhere_to_be_found\n")
        for _ in range(20):
            assert health(facts)["status"] == "edited"
        code.write_text(written.replace('"healthy"', '"mended"'))
        eventually(lambda: health(facts)["status"] == "mended")


def test_make_passes_settings_on_and_refuses_a_slip_at_once(checkout: Checkout, repository: Path) -> None:
    virtual = f"VENV={repository / '.venv'}"
    with checkout.running("make", "run", virtual, "PORT=0", "VERSION=9.9.9", CI="true") as process:
        assert health(checkout.facts())["version"] == "9.9.9"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    eventually(checkout.nothing_left)
    eventually(lambda: not checkout.file("dev.env").exists())
    for slip, told in (("RATE_LIMT_ASK=5", "did you mean RATE_LIMIT_ASK"), ("PORT=abc", "not 'abc'")):
        with checkout.start("make", "run", virtual, "PORT=0", slip) as process:
            output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode
        lines = [line for line in output.splitlines() if not re.match(r"make(\[\d+\])?: ", line)]
        assert len(lines) == 1, output
        assert lines[0].startswith("make run: ")
        assert told in lines[0]


def test_another_endpoint_takes_the_emulators_place(checkout: Checkout) -> None:
    with Emulator(log=subprocess.DEVNULL) as elsewhere:
        there = elsewhere.endpoint.environment()
        with checkout.running(**there) as process:
            facts = checkout.facts()
            assert facts["AWS_ENDPOINT_URL"] == elsewhere.endpoint.url
            assert health(facts)["status"] == "healthy"
            assert len(family(process.pid)) == 2  # itself and the front
            functions = elsewhere.endpoint.client("lambda")
            answer = functions.invoke(FunctionName="quintet-operations", Payload=json.dumps(event("GET", "/health")))
            assert json.loads(answer["Payload"].read())["statusCode"] == 200
