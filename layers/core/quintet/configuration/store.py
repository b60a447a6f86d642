"""The configuration table: each document's newest version, and every version it ever had."""

import json

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.transactions import TransactWrite

from quintet.configuration.model import Document
from quintet.configuration.reading import NEWEST, document_of
from quintet.configuration.reading import read as read
from quintet.configuration.shapes import DOCUMENT
from quintet.store.clock import millis
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Write, write_together


class DocumentItem(Table):
    shape = DOCUMENT

    class Meta:
        table_name = TableName("configuration")

    name = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    at = NumberAttribute()
    by = UnicodeAttribute()
    changed = UnicodeAttribute()


def write(after: Document, *also: Write) -> None:
    """Raises Unmet when somebody else has written since the version before was read."""
    newest, kept = _item(after, NEWEST), _item(after, f"v#{after.version:010d}")
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
    return [document_of(name, item.attribute_values) for item in found]


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
