"""Lists are index reads: a page is reached by the cursor of the page before, or by counting from the newest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pynamodb.attributes import Attribute
from pynamodb.indexes import GlobalSecondaryIndex

T = TypeVar("T")
M = TypeVar("M", bound=Any)


@dataclass(frozen=True, slots=True)
class Paging:
    """`after` is the id that the page before ended with; `offset` counts from there, or from the newest."""

    limit: int = 100
    offset: int = 0
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`after` leads to the next page; None when this is the last one."""

    items: Sequence[T]
    after: str | None


def newest_first(index: GlobalSecondaryIndex[M], hash_key: str, range_key: Attribute[str], paging: Paging) -> Page[M]:
    """Of an index whose range key is the id: ids sort by their age. What `offset` skips is read all the same."""
    found = index.query(
        hash_key,
        range_key_condition=range_key < paging.after if paging.after else None,
        scan_index_forward=False,
        limit=paging.offset + paging.limit + 1,
    )
    items = list(found)[paging.offset :]
    return Page(items[: paging.limit], items[paging.limit - 1].id if len(items) > paging.limit else None)
