"""Models in the shape that OpenAI's clients list them."""

from collections.abc import Iterable, Mapping
from typing import Any


def is_openai_client(headers: Mapping[str, str]) -> bool:
    """OpenAI's own packages say of themselves what they are. Header names are in lower case."""
    return any(name.startswith("x-stainless-") for name in headers)


def model_entry(model: str, owned_by: str, created: int = 0) -> dict[str, Any]:
    """`created` is in seconds; 0 where nobody told."""
    return {"id": model, "object": "model", "created": created, "owned_by": owned_by}


def model_list(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": list(entries)}
