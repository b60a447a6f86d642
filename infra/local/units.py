"""What reads cost in the emulator: by size, as in DynamoDB. MiniStack calls every query one unit, and batches none."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from infra.local.mending import Changed, rewrite

_BLOCK = 4096  # bytes; a consistent read of one is a unit, another is half a unit
_READ = '    _add_consumed_capacity(result, data, name, index_name=data.get("IndexName"))\n'
_GOT = "    _add_consumed_capacity(result, data, name)\n"
_BATCH_ITEM = '            item = table["items"].get(pk_val, {}).get(sk_val)\n'
_BATCH_ANSWER = '    return json_response({"Responses": responses, "UnprocessedKeys": unprocessed})\n'
_TRANSACTION_READ = (
    "        per_table_units[tname] = per_table_units.get(tname, 0.0) + 2.0\n"
    '        item = _get_item_by_key(tbl, get_op.get("Key", {}))\n'
)


def apply(dynamodb: ModuleType) -> None:
    if not hasattr(dynamodb, "_item_size_bytes") or not hasattr(dynamodb, "_apply_index_projection"):
        raise Changed(f"{dynamodb.__name__}._item_size_bytes")
    db: Any = dynamodb

    def blocks(items: Iterable[dict[str, Any] | None], table: Any = None, index: str | None = None) -> int:
        read: Iterable[dict[str, Any]] = filter(None, items)
        if index is not None:
            read = (db._apply_index_projection(item, table, index) for item in read)  # noqa: SLF001
        size: int = sum(map(db._item_size_bytes, read))  # noqa: SLF001
        return max(1, -(-size // _BLOCK))

    db._blocks_read, db._times, db._batch_read = blocks, _times, _batch_read  # noqa: SLF001 - for what is edited here
    for name, items in (("_query", "candidates"), ("_scan", "all_items")):
        rewrite(dynamodb, name, _READ, f"{_READ}    _times(result, _blocks_read({items}, table, index_name))\n")
    rewrite(dynamodb, "_get_item", _GOT, f"{_GOT}    _times(result, _blocks_read([item]))\n")
    counted = "            units[table_name] = units.get(table_name, 0) + _blocks_read([item])\n"
    rewrite(dynamodb, "_batch_get_item", _BATCH_ITEM, _BATCH_ITEM + counted)
    rewrite(dynamodb, "_batch_get_item", "    responses = {}\n", "    responses, units = {}, {}\n")
    answer = _BATCH_ANSWER.replace("})\n", ", **_batch_read(data, units)})\n")
    rewrite(dynamodb, "_batch_get_item", _BATCH_ANSWER, answer)
    unit, item = _TRANSACTION_READ.splitlines(keepends=True)
    rewrite(
        dynamodb, "_transact_get_items", _TRANSACTION_READ, item + unit.replace("2.0", "2.0 * _blocks_read([item])")
    )


def _times(result: dict[str, Any], blocks: int) -> None:
    if "ConsumedCapacity" in result:
        result["ConsumedCapacity"] = _multiplied(result["ConsumedCapacity"], blocks)


def _multiplied(told: Any, blocks: int) -> Any:
    if isinstance(told, dict):
        return {name: _multiplied(value, blocks) for name, value in told.items()}
    return told * blocks if isinstance(told, float) else told


def _batch_read(data: dict[str, Any], blocks: dict[str, int]) -> dict[str, Any]:
    wanted = data.get("ReturnConsumedCapacity", "NONE")
    if wanted == "NONE":
        return {}
    told = []
    for table, number in blocks.items():
        units = number * (1.0 if data["RequestItems"][table].get("ConsistentRead") else 0.5)
        whole = {"Table": {"CapacityUnits": units}} if wanted == "INDEXES" else {}
        told.append({"TableName": table, "CapacityUnits": units, **whole})
    return {"ConsumedCapacity": told}
