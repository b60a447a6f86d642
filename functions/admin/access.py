"""Who may come in here, and what all lists of this API have in common."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AfterValidator, Field

from quintet.errors import invalid
from quintet.http.wholeness import plain_size
from quintet.identity.door import permitted
from quintet.identity.model import Principal
from quintet.store.pages import Paging

_LARGEST_OPTIONS = 16 << 10  # bytes

Admin = Annotated[Principal, Depends(permitted("admin"))]


async def paging(
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Paging:
    return Paging(limit, offset, cursor)


Pages = Annotated[Paging, Depends(paging)]


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    if plain_size(options) > _LARGEST_OPTIONS:
        raise ValueError(f"Must be at most {_LARGEST_OPTIONS >> 10} KB of JSON")
    return options


Options = Annotated[dict[str, Any], Field(max_length=32), AfterValidator(_plain)]


def known(field: str, words: Iterable[str], table: Iterable[str]) -> None:
    """Raises Failure for a word that grants nothing: a slip of the pen is found now, not when somebody is refused."""
    unknown = sorted(set(words) - set(table))
    if unknown:
        issue = f"'{unknown[0]}' is not one of: {', '.join(sorted(table))}"
        raise invalid(field, issue)
