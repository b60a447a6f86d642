"""The configuration table: each document's newest version, and every version it ever had."""

import json
from collections.abc import Mapping
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.transactions import TransactWrite

from quintet.configuration.model import Document
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import from_millis, millis
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together

_NEWEST = "newest"


class DocumentItem(Table):
    class Meta:
        table_name = TableName("configuration")

    name = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    at = NumberAttribute()
    by = UnicodeAttribute()
    changed = UnicodeAttribute()


async def read(name: str) -> Document:
    """One read over the fast path: every function asks, every ten seconds."""
    answer = await wire.call(
        "GetItem",
        {
            "TableName": settings().table("configuration"),
            "Key": {"name": {"S": name}, "place": {"S": _NEWEST}},
            "ConsistentRead": True,
        },
    )
    row = wire.from_item(answer.get("Item", {}))
    return _document(name, row) if row else Document(name)


def write(after: Document, *also: Write) -> None:
    """Raises Unmet when somebody else has written since the version before was read."""
    newest, kept = _item(after, _NEWEST), _item(after, f"v#{after.version:010d}")
    unchanged = DocumentItem.version == after.version - 1 if after.version > 1 else DocumentItem.name.does_not_exist()

    def save(transaction: TransactWrite) -> None:
        transaction.save(newest, condition=unchanged)
        transaction.save(kept, condition=DocumentItem.name.does_not_exist())

    write_together([save, *also])


def versions(name: str, limit: int, before: int | None = None) -> list[Document]:
    """Newest first; `before` leads to older ones."""
    found = DocumentItem.query(
        name,
        DocumentItem.place.between("v#", f"v#{before - 1 if before else 9_999_999_999:010d}"),
        scan_index_forward=False,
        limit=limit,
    )
    return [_document(name, item.attribute_values) for item in found]


def _item(document: Document, place: str) -> DocumentItem:
    assert document.at is not None
    return DocumentItem(
        document.name,
        place,
        version=document.version,
        at=millis(document.at),
        by=document.by,
        changed=json.dumps(document.changed, separators=(",", ":")),
    )


def _document(name: str, row: Mapping[str, Any]) -> Document:
    return Document(name, int(row["version"]), from_millis(int(row["at"])), row["by"], json.loads(row["changed"]))
