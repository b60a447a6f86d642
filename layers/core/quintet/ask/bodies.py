"""Bodies as they come: bytes to JSON, and why they are not."""

import json
from typing import Any

from quintet.errors import Failure, Kind


def object_of(content: bytes | str, what: str = "The request body") -> dict[str, Any]:
    """Raises Failure that says what is wrong. A name that stands twice in an object is refused: two readers could take
    two different values for what was meant."""
    try:
        text = content.decode() if isinstance(content, bytes) else content
    except UnicodeDecodeError:
        raise Failure(Kind.MALFORMED, f"{what} is not UTF-8") from None
    if not text.strip():
        raise Failure(Kind.MALFORMED, f"{what} is empty: it must be a JSON object")
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except RecursionError:
        raise Failure(Kind.MALFORMED, f"{what} is nested too deeply") from None
    except _Twice as twice:
        raise Failure(Kind.MALFORMED, f"{what} {twice}") from None
    except ValueError:
        raise Failure(Kind.MALFORMED, f"{what} is not valid JSON") from None
    if not isinstance(value, dict):
        raise Failure(Kind.MALFORMED, f"{what} must be a JSON object")
    return value


class _Twice(Exception):  # noqa: N818 - a verdict
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice("has a name twice in one object")
    return found


def _constant(_name: str) -> Any:
    raise ValueError("NaN and infinity are not JSON")
