"""JSON from outside, as every table and queue takes it."""

import json
from typing import Any


def whole(told: Any) -> Any:
    """Half a surrogate pair, which JSON can spell, is no text: it becomes a question mark, as it does in answers."""
    text = json.dumps(told, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode(errors="replace"))
    return told


def plain_size(told: Any) -> int:
    """In bytes of JSON. Raises ValueError, in words for whoever sent it, for what would come back as something else."""
    try:
        return len(json.dumps(told, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):
        raise ValueError("Must be plain JSON: no NaN, no infinity, no broken text") from None
