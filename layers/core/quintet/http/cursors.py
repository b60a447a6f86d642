"""Cursors: where a list goes on, in letters that a query, a header and a shell can hold.

A place in a list has signs that a URL means otherwise, and may have a caller's own names in it.
"""

import base64

from quintet.errors import Failure, invalid

_ISSUE = "Must be the next_cursor of the page before"


def cursor_of(place: str | None) -> str | None:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=") if place else None


def place_of(cursor: str | None) -> str | None:
    """Only what `cursor_of` writes has a place; whether the list has it, its store knows."""
    if not cursor:
        return None
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise foreign_cursor() from None
    if cursor_of(place) != cursor:
        raise foreign_cursor()
    return place


def foreign_cursor() -> Failure:
    return invalid("cursor", _ISSUE)
