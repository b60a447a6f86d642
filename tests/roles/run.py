"""Each permission of the templates is needed: without it, a test of the functions as deployed fails.

First the suite runs with all of them, and it is noted which tests made use of which permission. Then the stack is
deployed without one, the tests that used it run again, and at least one has to fail; and so on, for as many as were
asked for. What no test makes use of is told at the end.
"""

import argparse
import bisect
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from infra.local.template import Template
from tests.roles import DECISIONS, POLICIES, ROLES, TEMPLATE, TESTS
from tests.roles.permissions import Permission, documents, listed, permissions, without, written

ROOT = Path(__file__).resolve().parents[2]
# Each on a stack of its own: what one does to the catalogue is nothing to another.
BATCHES: Mapping[str, tuple[str, ...]] = {
    "identity": (
        "e2e/test_identity.py",
        *(f"integration/identity/test_{each}.py" for each in ("admin", "login", "oauth", "tokens")),
    ),
    "admin": ("integration/admin",),
    "models": (
        "e2e/test_roles.py",
        *(f"integration/ask/test_{each}.py" for each in ("ask", "sealed")),
        *(f"integration/broker/test_{each}.py" for each in ("money", "plan", "ways_in")),
    ),
    "personas": ("e2e/test_personas.py", "integration/personas"),
    "policy": tuple(f"integration/policy/test_{each}.py" for each in ("clients", "deployed", "documented", "episodes")),
    "tasks": tuple(
        f"integration/tasks/test_{each}.py" for each in ("agents", "escalations", "models", "running", "tasks")
    ),
    "telling": ("integration/sockets", "integration/webhooks", "integration/telemetry/test_rollup.py"),
    "operations": (
        "integration/configuration",
        "integration/monitoring",
        "integration/telemetry/test_metrics.py",
        "integration/test_console.py",
        "integration/test_operations.py",
    ),
}
# What nothing that runs in the emulator can tell, with the reason.
NOT_ENFORCED: Mapping[str, str] = {
    "*: execute-api:ManageConnections on *": "the front has the connections, and takes whoever knows its key",
    "*: iam:PassRole on *": "nobody asks whether the scheduler may be handed a role",
    "*/FailedBatches: sqs:SendMessage on *": "Lambda sends what a stream could not deliver, and is asked nothing",
    "Data.DeliverySchedulesRole/*": "the scheduler sends in nobody's name",
    "StepPolicy/Policies: s3:GetObject on *": "only there where a bucket is named",
}
REFUSED = "something was refused"
LONGEST = 1800.0  # seconds that a batch may take
LONG = 300.0  # and the tests of one permission: what was taken away may leave one waiting for ever
MOST_TESTS = 3  # of each batch, that are tried for one permission


@dataclass(frozen=True, slots=True)
class Ran:
    test: str
    outcome: str
    begun: float
    ended: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-permissions", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--number", type=int, default=10, help="how many are taken away, one after the other; 0 = all")
    parser.add_argument("--only", default="*", help="those whose name is like this")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kept", type=Path, help="what an earlier run noted, or where this one is to")
    asked = parser.parse_args()
    folder = asked.kept or Path(tempfile.mkdtemp(prefix="roles-"))
    print(f"SEED={asked.seed}")
    template = Template(ROOT / "template.yaml")
    every = [each for each in permissions(documents(template)) if fnmatchcase(str(each), asked.only)]
    with ThreadPoolExecutor(asked.workers) as workers:
        folders = list(workers.map(lambda name: batch(folder, name), BATCHES))
    users: dict[Permission, list[str]] = {}
    for place in folders:
        for permission, tests in tests_by_permission(place, every).items():
            users.setdefault(permission, []).extend(tests)
    unused = [each for each in every if each not in users and not excused(each)]
    usable = [each for each in every if each in users]
    chosen = random.Random(asked.seed).sample(usable, min(asked.number or len(usable), len(usable)))
    with ThreadPoolExecutor(asked.workers) as workers:
        found = list(workers.map(lambda each: noticed(template, each, users[each]), chosen))
    unnoticed = [each for each, how in zip(chosen, found, strict=True) if not how]
    print(f"\n{len(chosen)} were taken away, {len(unnoticed)} of them unnoticed")
    for each in unnoticed:
        print(f"  UNNOTICED {each}")
    print(f"{len(usable)} of {len(every)} are made use of by a test")
    for each in unused:
        print(f"  no test makes use of {each}")
    return bool(unnoticed)


def batch(folder: Path, name: str) -> Path:
    place = folder / name
    if not (place / POLICIES).exists():
        place.mkdir(parents=True, exist_ok=True)
        tested(place, [f"tests/{each}" for each in BATCHES[name]], None)
    ran = outcomes(place)
    passed = sum(each.outcome == "passed" for each in ran)
    print(f"  {name}: {passed} tests pass, {len(ran) - passed} are not for functions as deployed", flush=True)
    for each in ran:
        if each.outcome == REFUSED:
            print(f"    REFUSED in {each.test}")
    return place


def excused(permission: Permission) -> bool:
    return any(fnmatchcase(str(permission), like) for like in NOT_ENFORCED)


def noticed(template: Template, permission: Permission, tests: list[str]) -> bool:
    parts = without(documents(template), permission)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tested(place, tests, written(parts, template, place))
        failed = [each for each in outcomes(place) if each.outcome != "passed"]
    how = failed[0].outcome if failed else "nobody noticed"
    seconds = time.monotonic() - began
    print(f"  without {permission}: {how} ({failed[0].test if failed else len(tests)}) {seconds:.0f} s", flush=True)
    return bool(failed)


def tested(folder: Path, tests: Iterable[str], template: Path | None) -> None:
    environment = {**os.environ, ROLES: str(folder)}
    if template:
        environment[TEMPLATE] = str(template)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.roles.plugin", "-p", "no:cacheprovider", *tests]
    with (folder / "output").open("w") as output:
        try:
            subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                check=False,
                timeout=LONG if template else LONGEST,
            )
        except subprocess.TimeoutExpired:
            with (folder / TESTS).open("a") as notes:
                print(json.dumps(["one waited in vain", "call", "failed", 0, 0]), file=notes)


def outcomes(folder: Path) -> list[Ran]:
    """By its first mishap, or passed. Its own failure comes before a refusal, which is known when it is over."""
    found: dict[str, Ran] = {}
    place = folder / TESTS
    for line in place.read_text().splitlines() if place.exists() else ():
        test, when, outcome, begun, ended = json.loads(line)
        if outcome == "failed":
            outcome = {"call": "a test failed", "setup": "its setup failed", "teardown": REFUSED}[when]
        if test not in found or found[test].outcome == "passed":
            found[test] = Ran(test, outcome, begun, ended)
    return list(found.values())


def tests_by_permission(folder: Path, every: list[Permission]) -> dict[Permission, list[str]]:
    """Of those that pass, the quickest that used it: what a queue or a stream does may fall into a later one's time."""
    statements = json.loads((folder / POLICIES).read_text())
    ran = [each for each in outcomes(folder) if each.outcome == "passed"]
    by_time = sorted(ran, key=lambda each: each.begun)
    starts = [each.begun for each in by_time]
    used: dict[tuple[str, str, str], Counter[str]] = {}
    for line in (folder / DECISIONS).read_text().splitlines():
        at, role, action, resource, allowed = json.loads(line)
        place = bisect.bisect(starts, at) - 1
        if allowed and place >= 0 and at <= by_time[place].ended + 0.5:
            used.setdefault((role, action, resource), Counter())[by_time[place].test] += 1
    lasted = {each.test: each.ended - each.begun for each in ran}
    found: dict[Permission, list[str]] = {}
    for permission in every:
        tests: Counter[str] = Counter()
        for role, arn in _holders(statements, permission):
            for (who, action, resource), counted in used.items():
                if who == role and action.lower() == permission.action.lower() and fnmatchcase(resource, arn):
                    tests.update(counted)
        if tests:
            found[permission] = sorted(tests, key=lambda test: lasted[test] / tests[test])[:MOST_TESTS]
    return found


def _holders(statements: list[dict[str, Any]], permission: Permission) -> list[tuple[str, str]]:
    """The roles that have it, and the resource as it was deployed."""
    found = []
    for each in statements:
        if each.get("Sid") != permission.sid or permission.action not in listed(each["Action"]):
            continue
        held = f"-{permission.holder}Role-" in each["role"] or f"-{permission.holder}-" in each["role"]
        if f"-{permission.holder}-" in each["policy"] or (not each["policy"] and held):
            found.append((each["role"], listed(each["Resource"])[permission.place]))
    return found


if __name__ == "__main__":
    sys.exit(main())
