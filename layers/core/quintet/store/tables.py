"""The base of every table's model: names from the settings, and one botocore client for all of them."""

from functools import cache
from typing import Any, ClassVar

from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.connection.table import TableConnection
from pynamodb.models import Model

from quintet.settings import settings


@cache
def connection() -> Connection:
    """PynamoDB opens one client per model (45 ms each, at first use): we share one."""
    return Connection(region=settings().aws_region, connect_timeout_seconds=2, read_timeout_seconds=10)


class TableName:
    """`table_name = TableName("keys")` in a model's Meta: the prefix is read at first use, not at import."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, _instance: object, _owner: type) -> str:
        return settings().table(self._name)


class Table(Model):
    """What a new version adds to an item is optional: its reader accepts items without it (docs/operations.md)."""

    _shared: ClassVar[dict[type, TableConnection]] = {}

    @classmethod
    def _get_connection(cls) -> TableConnection:
        known = cls._shared.get(cls)
        if known is None or known.table_name != cls.Meta.table_name or known.connection is not connection():
            known = TableConnection(cls.Meta.table_name, region=settings().aws_region)
            known.connection = connection()
            _describe(cls, known.connection._tables)  # noqa: SLF001
            cls._shared[cls] = known
        return known


def _describe(model: type[Table], tables: dict[str, MetaTable]) -> None:
    """Adds what this model knows of its table to what others know: several kinds of items may lie in one table."""
    own = _description(model)
    known = tables.setdefault(model.Meta.table_name, MetaTable(own)).data
    for part in ("AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        known[part] += [each for each in own[part] if each not in known[part]]


def _description(model: type[Table]) -> dict[str, Any]:
    schema: Any = model._get_schema()  # noqa: SLF001
    indexes = {
        kind: [
            {"IndexName": index["index_name"], "KeySchema": index["key_schema"]} for index in schema[f"{kind}_indexes"]
        ]
        for kind in ("global_secondary", "local_secondary")
    }
    return {
        "TableName": model.Meta.table_name,
        "KeySchema": schema["key_schema"],
        "AttributeDefinitions": schema["attribute_definitions"],
        "GlobalSecondaryIndexes": indexes["global_secondary"],
        "LocalSecondaryIndexes": indexes["local_secondary"],
    }
