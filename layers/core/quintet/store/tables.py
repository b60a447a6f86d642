"""The base of every table's model: names from the settings, and one botocore client for all of them."""

from base64 import b64decode, b64encode
from typing import Any, ClassVar, Self

from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.connection.table import TableConnection
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from quintet.copies import own
from quintet.settings import settings
from quintet.store.items import to_item
from quintet.store.meter import asking, consumed
from quintet.store.shapes import NUMBER, Shape


class Metered(Connection):
    """What it consumes is counted where somebody measures."""

    def _make_api_call(self, operation_name: str, operation_kwargs: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = super()._make_api_call(operation_name, dict(asking(operation_kwargs)))
        consumed(operation_name, answer)
        return answer


@own
def connection() -> Connection:
    """PynamoDB opens one client per model (45 ms each, at first use): we share one."""
    return Metered(region=settings().aws_region, connect_timeout_seconds=2, read_timeout_seconds=10)


class TableName:
    """`table_name = TableName("keys")` in a model's Meta: the prefix is read at first use, not at import."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, _instance: object, _owner: type) -> str:
        return settings().table(self._name)


class Table(Model):
    """A kind with a `shape` is read in it, whatever its items lie in, and written with its number."""

    shape: ClassVar[Shape | None] = None
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

    @classmethod
    def of_our_shape(cls) -> Action:
        """For an update that writes, of an item that was read, all that a step may change."""
        assert cls.shape is not None
        return Path([NUMBER]).set(cls.shape.number)

    @classmethod
    def _instantiate(cls, attribute_values: dict[str, dict[str, Any]]) -> Self:
        return super()._instantiate(_read(cls.shape, attribute_values))

    def deserialize(self, attribute_values: dict[str, dict[str, Any]]) -> None:
        super().deserialize(_read(self.shape, attribute_values))

    def serialize(self, null_check: bool = True) -> dict[str, dict[str, Any]]:
        item: dict[str, dict[str, Any]] = super().serialize(null_check)
        return item if self.shape is None else {**item, **to_item({NUMBER: self.shape.number})}


def _read(shape: Shape | None, item: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """PynamoDB has bytes where typed JSON has them as base64."""
    if shape is None or shape.has(item):
        return item
    coded = {name: {"B": b64encode(value["B"])} if "B" in value else value for name, value in item.items()}
    read = to_item(shape.row(coded))
    return {name: {"B": b64decode(value["B"])} if "B" in value else value for name, value in read.items()}


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
