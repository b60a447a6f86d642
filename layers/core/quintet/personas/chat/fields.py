"""Fields of a JSON body, read one by one: what is wrong is named by its path."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from quintet.errors import invalid

T = TypeVar("T")
Read = Callable[[Any, str], T]


def refuse(field: str, issue: str) -> NoReturn:
    raise invalid(field, issue)


def text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        refuse(field, "must be a string")
    return value


def short(most: int) -> Read[str]:
    def read(value: Any, field: str) -> str:
        if len(text(value, field)) > most:
            refuse(field, f"may have at most {most} characters")
        return str(value)

    return read


def boolean(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        refuse(field, "must be true or false")
    return value


def mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        refuse(field, "must be an object")
    return value


def sequence(value: Any, field: str, *, most: int | None = None) -> Sequence[Any]:
    if not isinstance(value, list):
        refuse(field, "must be an array")
    if most is not None and len(value) > most:
        refuse(field, f"may have at most {most} items")
    return value


def number(low: float, high: float) -> Read[float]:
    def read(value: Any, field: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            refuse(field, f"must be a number from {low:g} to {high:g}")
        return float(value)

    return read


def whole(low: int, high: int) -> Read[int]:
    def read(value: Any, field: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            refuse(field, f"must be a whole number from {low} to {high}")
        return value

    return read


def one_of(*words: str) -> Read[str]:
    def read(value: Any, field: str) -> str:
        if not isinstance(value, str) or value not in words:
            refuse(field, f"must be one of: {', '.join(words)}")
        return value

    return read


def optional(body: Mapping[str, Any], name: str, read: Read[T]) -> T | None:
    """None where it is missing or null: OpenAI's clients send both."""
    value = body.get(name)
    return None if value is None else read(value, name)
