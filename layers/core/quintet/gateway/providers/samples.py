"""The smallest sensible instance of a JSON schema: what the offline model answers and calls tools with."""

import json
import re
from collections.abc import Mapping
from typing import Any

_DEEP = 6  # below this, only what is required and no items beyond the fewest: recursive schemas end
_DEEPEST = 40
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_LONGEST = 100_000  # characters; a schema that asks for more is not filled
_MOST_WORK = 200_000  # about a character each: what a schema multiplies without end is left empty from there on
_LARGEST = 1e300
_PATTERN_LENGTH, _PATTERN_CHOICES = 200, 8
_QUANTIFIED_GROUP = re.compile(r"\)[*+?{]")


def sample(schema: Any, text: str = "text") -> Any:
    """`text` stands where any string would do."""
    return _Sampler(schema if isinstance(schema, Mapping) else {}, text).value(schema, 0)


class _Sampler:
    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root = root
        self._text = text
        self._left = _MOST_WORK

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= len("null")
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._left <= 0:
            return None
        schema = self._resolved(schema, depth)
        for key in ("const", "default"):
            if key in schema:
                return self._given(schema[key])
        for key in ("enum", "examples"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self._given(schema[key][0])
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "string":
            return self._string(schema)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        return True if kind == "boolean" else None

    def _resolved(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        """References followed, `allOf` merged, the first of several alternatives that is not null taken."""
        for _ in range(_DEEPEST):
            self._left -= 1 + sum(len(part) for part in schema.values() if isinstance(part, list | Mapping))
            if isinstance(schema.get("$ref"), str):
                schema = {**self._referred(schema["$ref"]), **_without(schema, "$ref")}
            elif isinstance(schema.get("allOf"), list):
                merged = _without(schema, "allOf")
                for part in schema["allOf"]:
                    merged = _merged(merged, part if isinstance(part, Mapping) else {})
                schema = merged
            else:
                several = next((key for key in ("anyOf", "oneOf") if schema.get(key)), None)
                if several is None:
                    break
                one = _preferred(schema[several], depth)
                schema = _merged(_without(schema, several), one)
        return schema

    def _given(self, value: Any) -> Any:
        self._left -= len(json.dumps(value, ensure_ascii=False))
        return value

    def _referred(self, pointer: str) -> Mapping[str, Any]:
        here: Any = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            here = here.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(here, Mapping) else None
        return here if isinstance(here, Mapping) else {}

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        required = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        wanted = required if required or depth >= _DEEP else list(properties)
        filled = {}
        for name in wanted:
            self._left -= len(name)
            if self._left <= 0:
                break
            filled[name] = self.value(properties.get(name, {"type": "string"}), depth + 1)
        others = schema.get("additionalProperties")
        for index in range(len(filled), min(_count(schema, "minProperties", 0), 100)):
            filled[f"key{index + 1}"] = self.value(others, depth + 1) if isinstance(others, Mapping) else self._text
        return filled

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        fewest, most = _count(schema, "minItems", 0), _count(schema, "maxItems", 1_000)
        first = schema.get("prefixItems")
        if isinstance(first, list):
            return [self.value(each, depth + 1) for each in first if self._left > 0]
        count = min(max(fewest, 0 if depth >= _DEEP else 1), most, 1_000)
        items = schema.get("items", {"type": "string"})
        values = [self.value(items, depth + 1) for _ in range(count) if self._left > 0]
        return _distinct(values, items) if schema.get("uniqueItems") else values

    def _string(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = self._text
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            text = _matching(pattern) or text
        fewest, most = min(_count(schema, "minLength", 0), _LONGEST), _count(schema, "maxLength", _LONGEST)
        text = text.ljust(min(fewest, self._left), "x")[:most]
        self._left -= len(text)
        return text


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    return "number" if schema.keys() & {"minimum", "maximum"} else "string"


def _count(schema: Mapping[str, Any], key: str, usual: int) -> int:
    value = schema.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else usual


def _bound(schema: Mapping[str, Any], key: str) -> float | None:
    value = schema.get(key)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST
    return value if usable else None


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    """1 where that is allowed, else the nearest bound; on a scale from 0 its top: a score, a confidence."""
    step = _bound(schema, "multipleOf") or (1 if whole else 0)
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    gap = step or 0.5
    value: float = high if low == 0 and high is not None and high > 0 else step or 1
    if above is not None and value <= above:
        value = above + gap
    if low is not None and value < low:
        value = low
    if below is not None and value >= below:
        value = below - gap if above is None or below - gap > above else (above + below) / 2
    if high is not None and value > high:
        value = high
    if step and value % step:
        value -= value % step
        value += step if low is not None and value < low else 0
    return int(value) if whole or value == int(value) else value


def _matching(pattern: str) -> str | None:
    """Something short that many patterns take; a pattern that none of these fits is left unmet.

    So is one that could try for years: choices within choices, or too many of them in a row.
    """
    choices = sum(map(pattern.count, "*+?{|"))
    if len(pattern) > _PATTERN_LENGTH or choices > _PATTERN_CHOICES or _QUANTIFIED_GROUP.search(pattern):
        return None
    candidates = ("a", "A", "0", "a1", "abc", "ABC", "abc-123", "0000", "1.0.0", "a.b", "A1", "+10000000000", "text")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError):
        return None
    return next((each for each in candidates if compiled.search(each)), None)


def _distinct(values: list[Any], items: Any) -> list[Any]:
    """Alike values told apart where their kind allows it."""
    if isinstance(items, Mapping) and isinstance(items.get("enum"), list):
        return list(items["enum"][: len(values)])
    if all(isinstance(each, str) for each in values):
        return [each if index == 0 else f"{each} {index + 1}" for index, each in enumerate(values)]
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        return [each + index for index, each in enumerate(values)]
    return values


def _preferred(alternatives: Any, depth: int) -> Mapping[str, Any]:
    """Not null while there is another; where it is deep, the one that goes no deeper."""
    given = alternatives if isinstance(alternatives, list) else []
    offered = [each for each in given if isinstance(each, Mapping)] or [{}]
    real = [each for each in offered if each.get("type") != "null"] or offered
    if depth >= _DEEP:
        return next((each for each in offered if each.get("type") == "null"), real[-1])
    return real[0]


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    if isinstance(one.get("properties"), Mapping) and isinstance(other.get("properties"), Mapping):
        merged["properties"] = {**one["properties"], **other["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        names = [name for name in (*one["required"], *other["required"]) if isinstance(name, str)]
        merged["required"] = [*dict.fromkeys(names)]
    return merged
