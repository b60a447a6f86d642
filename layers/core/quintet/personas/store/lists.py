"""Lists over the parts of an index, merged. Its range key is a moment and an id, as `rows.place` writes them."""

import asyncio
from typing import Any

from quintet.personas.store.rows import parts
from quintet.settings import settings
from quintet.store import wire
from quintet.store.pages import Page

_FIRST, _LAST = "0", "9" * 16


async def latest(
    table: str, index: str, key: str, *, above: str = _FIRST, cursor: str | None = None, limit: int
) -> Page[dict[str, Any]]:
    """Those above a place, the largest first; a cursor is the place that the page before ended with."""
    if cursor and cursor < above:
        return Page([], None)
    query = _Query(table, index, key, above, cursor or _LAST)
    found = await asyncio.gather(*(query.rows(part, limit + 2) for part in parts()))
    rows = sorted(
        (row for several in found for row in several if row[key] != cursor), key=lambda row: row[key], reverse=True
    )
    return Page(rows[:limit], rows[limit - 1][key] if len(rows) > limit else None)


async def count(table: str, index: str, key: str, above: str) -> int:
    query = _Query(table, index, key, above, _LAST)
    return sum(await asyncio.gather(*(query.count(part) for part in parts())))


class _Query:
    def __init__(self, table: str, index: str, key: str, above: str, below: str) -> None:
        self._request = {
            "TableName": settings().table(table),
            "IndexName": index,
            "KeyConditionExpression": "part = :part AND #key BETWEEN :above AND :below",
            "ExpressionAttributeNames": {"#key": key},
            "ScanIndexForward": False,
        }
        self._bounds = {":above": above, ":below": below}

    async def rows(self, part: str, limit: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while len(rows) < limit:
            answer = await self._ask(part, Limit=limit - len(rows), **more)
            rows += [wire.from_item(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return rows

    async def count(self, part: str) -> int:
        total = 0
        more: dict[str, Any] = {}
        while True:
            answer = await self._ask(part, Select="COUNT", **more)
            total += int(answer["Count"])
            if "LastEvaluatedKey" not in answer:
                return total
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def _ask(self, part: str, **more: Any) -> dict[str, Any]:
        values = wire.to_item({":part": part, **self._bounds})
        return await wire.call("Query", {**self._request, "ExpressionAttributeValues": values, **more})
