"""Telling of changes: events lie above this room, so a function passes in how they are told."""

from collections.abc import Callable, Mapping
from typing import Any

from quintet.store.transactions import Write

Announce = Callable[[str, str, Mapping[str, Any], str], Write]
"""(type, subject, data, actor): the part of a transaction that tells of the change it makes. Data holds no secret."""


def silently(_type: str, _subject: str, _data: Mapping[str, Any], _actor: str) -> Write:
    return lambda _transaction: None
