"""Two instances that woke from one snapshot share nothing: no lease of a budget, no connection, no id, no chance."""

import json
import subprocess
import sys

from tests.conftest import Stack
from tests.fakes.upstream import Upstream
from tests.integration.broker.conftest import Ask

MODEL = {"id": "twin-1", "provider_id": "twins", "weight": 9, "input_per_1k": 0.001, "output_per_1k": 0.002}


def test_copies_of_a_process_have_everything_for_themselves(
    stack: Stack, keys: dict[str, str], admin: Ask, vendor: Upstream
) -> None:
    admin("POST", "providers", {"id": "twins", "type": "openai", "base_url": vendor.openai})
    admin("POST", "models", MODEL)
    budget = {"scope": "provider", "subject": "twins", "window": "day", "cap_usd": 50}
    assert admin("POST", "budgets", budget).status < 300
    done = subprocess.run(
        [sys.executable, "-m", "tests.lambdas.twins"],
        input=keys["RYUZEN_KEY"],
        env=stack.system.environment() | {"PYTHONPATH": ":".join(sys.path), "AWS_LAMBDA_FUNCTION_NAME": "broker"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    before, one, other = json.loads(done.stdout.splitlines()[-1])
    assert before["leases"]
    assert before["secrets"]
    assert before["connections"]
    nothing = {"sockets": 0, "connections": 0, "leases": [], "secrets": 0}
    assert (one["arrived"], other["arrived"]) == (nothing, nothing)
    assert len({*before["leases"], *one["leases"], *other["leases"]}) == sum(
        len(each["leases"]) for each in (before, one, other)
    )
    assert one["leases"]
    assert other["leases"]
    assert not {*one["random"]} & {*other["random"]}
    assert len({*before["ids"], *one["ids"], *other["ids"]}) == 5
