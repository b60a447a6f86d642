"""Plain values as DynamoDB writes them, and back."""

from collections.abc import Callable, Mapping
from typing import Any

try:  # where states of agents are read and written, it is forty times as fast
    import pybase64 as base64
except ImportError:
    import base64  # type: ignore[no-redef]


def to_item(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values into DynamoDB's typed JSON: str, int, float (shortest decimal), bool, None, bytes, list, dict, set.

    Raises ValueError for what DynamoDB cannot hold, TypeError for what nobody has thought of.
    """
    item: dict[str, Any] = {}
    for name, value in values.items():
        kind = type(value)
        if kind is str:  # most are, and of the others most are small integers
            item[name] = {"S": value}
        elif kind is int and -1_000_000_000_000_000_000 < value < 1_000_000_000_000_000_000:
            item[name] = {"N": str(value)}
        else:
            item[name] = _typed(value)
    return item


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `to_item`. A number without a fraction is an int."""
    return {name: _plain(value) for name, value in item.items()}


def _typed(value: Any) -> dict[str, Any]:
    kind = type(value)
    write = _WRITERS.get(kind)
    if write is None:
        write = next((writer for kind, writer in _WRITERS.items() if isinstance(value, kind)), None)
        if write is None:
            raise TypeError(f"DynamoDB has no type for a {type(value).__name__}")
    return write(value)


def _integer(value: int) -> str:
    if not -(10**38) < value < 10**38:
        raise ValueError("DynamoDB's numbers have at most 38 digits")
    return str(int(value))


def _float(value: float) -> str:
    if value and not 1e-130 <= abs(value) < 1e126:  # NaN too
        raise ValueError("not a number that DynamoDB can hold")
    return repr(float(value))


def _set(values: set[Any] | frozenset[Any]) -> dict[str, Any]:
    typed = [_typed(value) for value in values]
    kinds = {kind for each in typed for kind in each}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise ValueError("a set in DynamoDB is not empty, and all text, all numbers or all bytes")
    kind = kinds.pop()
    return {f"{kind}S": [each[kind] for each in typed]}


def _list(values: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    return {"L": [_typed(value) for value in values]}


# A subclass is written as the first of these that it is: a bool before an int.
_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    str: lambda value: {"S": value},
    bool: lambda value: {"BOOL": value},
    int: lambda value: {"N": _integer(value)},
    float: lambda value: {"N": _float(value)},
    type(None): lambda _: {"NULL": True},
    bytes: lambda value: {"B": base64.b64encode(value).decode()},
    dict: lambda value: {"M": to_item(value)},
    list: _list,
    tuple: _list,
    set: _set,
    frozenset: _set,
}


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    return _READERS[kind](content)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else number


_READERS: dict[str, Callable[[Any], Any]] = {
    "S": lambda content: content,
    "N": _number,
    "BOOL": lambda content: content,
    "NULL": lambda _: None,
    "B": lambda content: base64.b64decode(content, validate=True),
    "M": from_item,
    "L": lambda content: [_plain(value) for value in content],
    "SS": set,
    "NS": lambda content: {_number(value) for value in content},
    "BS": lambda content: {base64.b64decode(value, validate=True) for value in content},
}
