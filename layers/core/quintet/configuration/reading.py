"""The newest version of a document, read on the fast path: every function asks, and few ever change one."""

import json
from collections.abc import Mapping
from typing import Any

from quintet.configuration.model import Document
from quintet.configuration.shapes import DOCUMENT
from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import from_millis

NEWEST = "newest"


async def read(name: str) -> Document:
    answer = await wire.call(
        "GetItem",
        {
            "TableName": settings().table("configuration"),
            "Key": {"name": {"S": name}, "place": {"S": NEWEST}},
            "ConsistentRead": True,
        },
    )
    row = DOCUMENT.row(answer.get("Item", {}))
    return document_of(name, row) if row else Document(name)


def document_of(name: str, row: Mapping[str, Any]) -> Document:
    return Document(name, int(row["version"]), from_millis(int(row["at"])), row["by"], json.loads(row["changed"]))
