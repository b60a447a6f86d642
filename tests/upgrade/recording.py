"""What a version wrote and answered, as it is kept: `<version>.json.gz`, a table's items as DynamoDB's typed JSON."""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from quintet.settings import settings
from quintet.store import wire
from quintet.store.shapes import NUMBER

FOLDER = Path(__file__).parent
_AT_ONCE = 25
# What asking itself changes, and what goes on while nobody asks.
_PASSING = frozenset({"request_id", "timestamp", "last_used", "last_triggered", "next_attempt_at", "duration_ms"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caller was answered to a GET. `who` names a credential."""

    who: str
    target: str
    body: Any


@dataclass(frozen=True, slots=True)
class Recording:
    """`known` is what only the callers know: keys, tokens, passwords. `names` are the ids that the tests go on with."""

    version: str
    commit: str
    at: str
    known: Mapping[str, str]
    names: Mapping[str, Any]
    seen: tuple[Seen, ...]
    tables: Mapping[str, list[dict[str, Any]]]

    @property
    def moment(self) -> datetime:
        """After everything in it."""
        return datetime.fromisoformat(self.at)

    @classmethod
    def read(cls, version: str) -> "Recording":
        told = json.loads(gzip.decompress((FOLDER / f"{version}.json.gz").read_bytes()))
        return cls(**{**told, "seen": tuple(Seen(**each) for each in told["seen"])})

    @classmethod
    def versions(cls) -> list[str]:
        return sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("*.json.gz"))

    def write(self) -> Path:
        path = FOLDER / f"{self.version}.json.gz"
        text = json.dumps(asdict(self), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        return path

    async def load(self) -> None:
        """Into the tables of this process's settings, which are empty.

        Every other item of the first shape has no number there: who wrote it knew of none, and it means the same.
        """
        for table, recorded in self.tables.items():
            items = [_unnumbered(each) if place % 2 else each for place, each in enumerate(recorded)]
            for start in range(0, len(items), _AT_ONCE):
                puts = [{"PutRequest": {"Item": item}} for item in items[start : start + _AT_ONCE]]
                answer = await wire.call("BatchWriteItem", {"RequestItems": {settings().table(table): puts}})
                assert not answer.get("UnprocessedItems")


def _unnumbered(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if (name, value) != (NUMBER, {"N": "1"})}


def items_of(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    """All of a table, as typed JSON."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [_coded(item) for page in pages for item in page["Items"]]


def lacking(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """What was answered before, and is no more. An answer may say more than it did, and a list may be longer."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            if name not in _PASSING:
                yield from lacking(value, now.get(name), f"{place}.{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from lacking(old, new, f"{place}[{index}]")
    elif before != now:
        yield f"{place}: {before!r} has become {now!r}"


def _coded(value: Any) -> Any:
    """botocore has bytes where typed JSON has base64."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _coded(each) for name, each in value.items()}
    return [_coded(each) for each in value] if isinstance(value, list) else value
