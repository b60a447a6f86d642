"""The fast path to DynamoDB: signed JSON over our own client, a fifth of boto3's CPU per call. For hot calls only."""

from collections.abc import Mapping
from typing import Any


class WireError(Exception):
    """DynamoDB's own refusal. `item` is the plain old item when a condition failed and the call asked for it."""

    def __init__(self, code: str, message: str, item: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.item = item

    @property
    def unmet(self) -> bool:
        return self.code == "ConditionalCheckFailedException"


async def call(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """`operation` is `UpdateItem`, `request` DynamoDB's own JSON. Transient failures are retried where that is safe."""
    raise NotImplementedError


def to_item(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values into DynamoDB's typed JSON: str, int, float (shortest decimal), bool, None, bytes, list, dict."""
    raise NotImplementedError


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `to_item`. A number without a fraction is an int."""
    raise NotImplementedError
