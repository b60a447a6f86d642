"""What the emulator does for each of many items, in less time: its answers are the same."""

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from infra.local.mending import Changed, replace

_SHORT = 256  # characters: however they are written, no key is too long then


def apply(dynamodb: ModuleType) -> None:
    db: Any = dynamodb
    for name in ("_attribute_value_size", "_number_size_bytes", "_get_attr_type"):
        if not hasattr(dynamodb, name):
            raise Changed(f"{dynamodb.__name__}.{name}")
    # It takes an expression apart and checks its grammar anew for every item that a query looks at.
    for name in ("_tokenize", "_condition_syntax_error"):
        replace(dynamodb, name, lru_cache(4096)(getattr(dynamodb, name)))
    replace(dynamodb, "_item_size_bytes", _size(db._attribute_value_size, db._number_size_bytes))  # noqa: SLF001
    replace(dynamodb, "_resolve_table_key_values", _keys(db._resolve_table_key_values, db._get_attr_type))  # noqa: SLF001
    replace(dynamodb, "json_response", _answer(db.json_response))
    replace(dynamodb, "_projection_overlap_error", _once(db._projection_overlap_error))  # noqa: SLF001
    replace(dynamodb, "_project_item", _projection(db._project_item))  # noqa: SLF001


def _size(size_of: Callable[[Any], int], size_of_number: Callable[[str], int]) -> Callable[[Any], int]:
    """Pages and writes are measured too."""
    number_size = lru_cache(4096)(size_of_number)  # the same small ones again and again

    def item_size(item: Any) -> int:
        size = 0
        for name, value in item.items() if isinstance(item, dict) else ():
            size += len(name) if name.isascii() else len(name.encode())
            text = value.get("S") if len(value) == 1 else None
            if isinstance(text, str) and text.isascii():
                size += len(text)
            elif len(value) == 1 and isinstance(value.get("N"), str):
                size += number_size(value["N"])
            else:
                size += size_of(value)
        return size

    return item_size


def _keys(resolve: Callable[..., Any], type_of: Callable[[Any, str], str]) -> Callable[..., Any]:
    """Of two short texts nothing can be wrong."""

    def resolved(table: Any, attrs: Any, allow_extra: bool) -> Any:
        one, other = table["pk_name"], table["sk_name"]
        if isinstance(attrs, dict) and len(attrs) == 2 and other and not allow_extra:
            pair = _short_text(attrs.get(one)), _short_text(attrs.get(other))
            if all(pair) and type_of(table, one) == type_of(table, other) == "S":
                return *pair, None
        return resolve(table, attrs, allow_extra)

    return resolved


def _short_text(value: Any) -> str:
    text = value.get("S") if isinstance(value, dict) and len(value) == 1 else None
    return text if isinstance(text, str) and len(text) <= _SHORT else ""


def _once(check: Callable[..., Any]) -> Callable[..., Any]:
    """Of an expression and its names."""
    checked = lru_cache(1024)(lambda expression, names: check(expression, dict(names)))
    return lambda expression, names: checked(expression, tuple((names or {}).items()))


def _projection(project: Callable[..., Any]) -> Callable[..., Any]:
    @lru_cache(1024)
    def plain(expression: str) -> frozenset[str] | None:
        """The attributes that it names; None where it goes into them, or gives them other names."""
        project({}, expression, {})  # raises what is wrong with it
        names = frozenset(path.strip() for path in expression.split(","))
        return None if {".", "[", "#"} & {*expression} else names

    def projected(item: Any, expression: Any, aliases: Any) -> Any:
        names = plain(expression) if expression else None
        if names is None:
            return project(item, expression, aliases)
        return {name: value for name, value in item.items() if name in names}

    return projected


def _answer(respond: Callable[..., Any]) -> Callable[..., Any]:
    def answer(data: Any, status: int = 200, **more: Any) -> Any:
        plain = respond({}, status, **more)
        try:
            return *plain[:2], to_json(data)
        except PydanticSerializationError:
            return respond(data, status, **more)

    return answer
