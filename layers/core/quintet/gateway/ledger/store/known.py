"""What calls need to know of the budgets table, read on the fast path: who calls models never sets a budget."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from quintet.gateway.ledger.model import Budget, Scope, Window
from quintet.gateway.shapes import BUDGET
from quintet.settings import settings
from quintet.store import wire
from quintet.store.items import to_item
from quintet.store.shapes import Row

SHARED_BY_ALL = "shared"


@dataclass(frozen=True, slots=True)
class Known:
    """What every instance knows: the budgets that all callers share, and of which other scopes there are any."""

    shared: Sequence[Budget]
    scopes: frozenset[Scope]


async def known() -> Known:
    request: dict[str, Any] = {
        "TableName": settings().table("budgets"),
        "IndexName": "shared",
        "KeyConditionExpression": "#shared = :shared",
        "ExpressionAttributeNames": {"#shared": "shared"},
        "ExpressionAttributeValues": to_item({":shared": SHARED_BY_ALL}),
    }
    rows: list[Row] = []
    while True:
        answer = await wire.call("Query", request)
        rows += [BUDGET.row(item) for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            break
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    scopes = frozenset(Scope(row["id"][6:]) for row in rows if row["id"].startswith("scope#"))
    return Known([budget_of(row) for row in rows if "cap" in row], scopes)


async def present(ids: Iterable[str]) -> dict[str, Budget]:
    """Those of these that there are. At most 100."""
    wanted: dict[str, Any] = {settings().table("budgets"): {"Keys": [{"id": {"S": each}} for each in ids]}}
    found: dict[str, Budget] = {}
    while wanted:
        answer = await wire.call("BatchGetItem", {"RequestItems": wanted})
        for items in answer["Responses"].values():
            for item in items:
                budget = budget_of(BUDGET.row(item))
                found[budget.id] = budget
        wanted = answer.get("UnprocessedKeys", {})
    return found


def budget_of(row: Any) -> Budget:
    return Budget(
        Scope(row["scope"]),
        row["subject"],
        Window(row["window"]),
        int(row["cap"]),
        int(row["since"]),
        int(row["shards"]),
        int(row["updated_at"]),
        row["updated_by"],
    )
