"""What a step consumes of DynamoDB is what `make cost` counts with."""

import json
from pathlib import Path

from quintet.store import wire
from tests.integration.policy.conftest import Client


def test_a_step_consumes_what_the_calculator_says(client: Client, repository: Path) -> None:
    known = json.loads((repository / "infra/units.json").read_text())["kinds"]["policy_step"]["used"]["policy"]
    for _ in range(3):
        client.step([0.0, 0.0, 0.0, 0.0])
    seen = []
    for _ in range(5):
        with wire.watched(capacity=True) as calls:
            client.step([0.0, 0.0, 0.0, 0.0])
        reads = sum(each.units for each in calls if each.operation in {"GetItem", "BatchGetItem", "Query"})
        seen.append((reads, sum(each.units for each in calls) - reads, [tuple(each) for each in calls]))
    assert min((each[:2] for each in seen), key=sum) == (0, known["dynamodb_write_unit"]), seen
