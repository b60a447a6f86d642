"""What a call of a model consumes of DynamoDB is what `make cost` counts with."""

import json
from pathlib import Path

from quintet.store import wire
from tests.gateway import Answer
from tests.integration.broker.conftest import Ask
from tests.integration.broker.test_money import HELLO, dear

__all__ = ["dear"]


def test_a_models_call_consumes_what_the_calculator_says(
    chat: Ask, dear: Answer, keys: dict[str, str], repository: Path
) -> None:
    known = json.loads((repository / "infra/units.json").read_text())["kinds"]["model_call"]["used"]["broker"]
    for _ in range(3):
        assert chat(HELLO).status == 200
    seen = []
    for _ in range(5):
        with wire.watched(capacity=True) as calls:
            assert chat(HELLO).status == 200
        reads = sum(each.units for each in calls if each.operation in {"GetItem", "BatchGetItem", "Query"})
        seen.append((reads, sum(each.units for each in calls) - reads, [tuple(each) for each in calls]))
    assert min((each[:2] for each in seen), key=sum) == (0, known["dynamodb_write_unit"]), seen
