"""What was done of a task: its plan, its steps and its review, each written once a round.

A round is one attempt at the whole: an escalation begins another. An execution that takes over from one that was lost
goes on with the round, and finds what is done.
"""

import json
from collections.abc import Mapping
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.transactions import Write
from quintet.tasks.shapes import STEP as STEP_SHAPE
from quintet.tasks.store.items import StepItem
from quintet.tasks.store.rows import STEP

PLAN, REVIEW = "plan", "review"


def done(task_id: str, round: int, name: str, told: Mapping[str, Any]) -> Write:  # noqa: A002
    """Its condition fails where it was done before."""
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    item = StepItem(task_id, _part(round, name), told=text)
    return lambda tx: tx.save(item, condition=StepItem.id.does_not_exist())


def step_name(index: int) -> str:
    return f"work#{index:03d}"


async def of_round(task_id: str, round: int) -> dict[str, Any]:  # noqa: A002
    """By name: `plan`, `review`, `work#000`, ... in the order of the steps."""
    prefix = _part(round, "")
    found: dict[str, Any] = {}
    start: Any = None
    while True:
        answer = await wire.call(
            "Query",
            {
                "TableName": settings().table("tasks"),
                "KeyConditionExpression": "id = :id AND begins_with(part, :prefix)",
                "ExpressionAttributeValues": wire.to_item({":id": task_id, ":prefix": prefix}),
                "ConsistentRead": True,
                **({"ExclusiveStartKey": start} if start else {}),
            },
        )
        for item in map(STEP_SHAPE.row, answer["Items"]):
            found[item["part"].removeprefix(prefix)] = json.loads(item["told"])
        start = answer.get("LastEvaluatedKey")
        if not start:
            return found


def _part(round: int, name: str) -> str:  # noqa: A002
    return f"{STEP}{round:03d}#{name}"
