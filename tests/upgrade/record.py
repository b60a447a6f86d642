"""Records what a version writes, for later versions to read: `make record REF=<commit> RELEASE=<its number>`.

The version runs from a checkout of its own, as `make run` runs it. A story is told through its public API, every GET
is asked once more when all is quiet, and what lies in its tables is written to `<version>.json.gz` beside this file.
Nothing of this process's code runs in it: only the API and the tables are shared.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import requests

from infra.local.children import ROOT
from tests.processes import eventually
from tests.upgrade.recording import Recording, Seen, items_of
from tests.upgrade.story import Callers, Story

_READY_SECONDS = 120.0
_QUIET_SECONDS = 180.0
_LOOKS_ALIKE = 5  # in a row, a second apart: nothing is written any more
# Nothing here is anybody's secret.
SETTINGS = {
    "JWT_SECRET": "recorded-for-tests-alone-and-known-to-everybody",
    "WEBHOOK_LOCAL_RECEIVERS": "true",
    "VAPI_SECRET": "recorded",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make record", description=__doc__)
    parser.add_argument("--ref", required=True, help="the commit that wrote the data")
    parser.add_argument("--version", required=True, help="what CHANGELOG.md calls it")
    options = parser.parse_args()
    commit = _git("rev-parse", options.ref)
    with tempfile.TemporaryDirectory(prefix="quintet-record-") as scratch:
        tree = Path(scratch) / "tree"
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            with running(tree) as facts:
                recording = recorded(options.version, commit, facts)
        finally:
            _git("worktree", "remove", "--force", str(tree))
    path = recording.write()
    count = sum(map(len, recording.tables.values()))
    print(f"{count} items and {len(recording.seen)} answers: {path.relative_to(ROOT)}, {path.stat().st_size} bytes")


@contextmanager
def running(tree: Path) -> Iterator[dict[str, str]]:
    """What `make run` of that checkout tells its user."""
    parts = [str(tree / part) for part in ("layers/core", "functions", "")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    announced = tree / ".local" / "dev.env"
    with subprocess.Popen(
        [sys.executable, "-m", "infra.local.run", "--port", "0"],
        cwd=tree,
        env={**kept, "PYTHONPATH": os.pathsep.join(parts), **SETTINGS},
        stdout=sys.stderr,
    ) as process:
        try:
            eventually(lambda: announced.exists() or process.poll() is not None, _READY_SECONDS)
            assert process.poll() is None, "this version did not start"
            yield dict(line.split("=", 1) for line in announced.read_text().splitlines())
        finally:
            process.send_signal(signal.SIGINT)


def recorded(version: str, commit: str, facts: dict[str, str]) -> Recording:
    known = {name: facts[name] for name in ("API_KEY", "RYUZEN_KEY", "REVIEWER_KEY", "VIEWER_KEY", "STATIC_TOKEN")}
    known |= {"VAULT_PASSWORD": secrets.token_urlsafe(16), "PASSWORD": secrets.token_urlsafe(16)} | SETTINGS
    callers = Callers(lambda method, target, **more: _request(facts["BASE_URL"], method, target, **more), known)
    names = Story(callers).tell()
    dynamodb = _dynamodb(facts)
    tables = [name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]
    _quiet(dynamodb, tables)
    seen = tuple(Seen(who, target, callers.get(who, target)) for who, target in Story(callers).questions(names))
    _quiet(dynamodb, tables)  # questions are counted too
    return Recording(
        version,
        commit,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        callers.known,
        names,
        seen,
        {name.removeprefix("quintet-"): items_of(dynamodb, name) for name in sorted(tables)},
    )


def _request(base: str, method: str, target: str, **more: Any) -> tuple[int, Any]:
    answer = requests.request(method, base + target, timeout=60, **more)
    kind = answer.headers.get("content-type", "")
    return answer.status_code, answer.json() if kind.startswith("application/json") else answer.text


def _dynamodb(facts: dict[str, str]) -> Any:
    return botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=facts["AWS_ENDPOINT_URL"],
        region_name=facts["AWS_REGION"],
        aws_access_key_id=facts["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=facts["AWS_SECRET_ACCESS_KEY"],
    )


def _quiet(dynamodb: Any, tables: list[str]) -> None:
    """Until the outbox is empty and nothing more is written."""
    until, before, alike = time.monotonic() + _QUIET_SECONDS, None, 0
    while alike < _LOOKS_ALIKE:
        assert time.monotonic() < until, "it does not come to rest"
        time.sleep(1)
        now = {name: items_of(dynamodb, name) for name in tables if not name.endswith(("present", "series"))}
        waiting = any(item["pk"]["S"].startswith("outbox#") for item in now["quintet-events"])
        alike = alike + 1 if now == before and not waiting else 0
        before = now


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
