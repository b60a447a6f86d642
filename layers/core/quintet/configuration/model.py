"""A document that an operator may change: what it may hold, how a change is laid over it, what it says by default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from quintet.errors import invalid

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: `issue` says what is wrong with a candidate, or nothing. What is read only is never changed."""

    default: Any
    issue: Callable[[Any], str | None]
    read_only: bool = False


Schema = Mapping[str, "Leaf | Schema"]


@dataclass(frozen=True, slots=True)
class Document:
    """`changed` holds only what somebody has said; version 0 says that nobody has said anything yet."""

    name: str
    version: int = 0
    at: datetime | None = None
    by: str = ""
    changed: Values = field(default_factory=dict)


def values_of(document: Document, schema: Schema) -> dict[str, Any]:
    """The document whole: its defaults, with what was changed laid over them."""
    return {
        name: values_of(Document(document.name, changed=document.changed.get(name, {})), part)
        if isinstance(part, Mapping)
        else document.changed.get(name, part.default)
        for name, part in schema.items()
    }


def changed(before: Document, change: Any, schema: Schema, *, at: datetime, by: str) -> Document:
    """Raises Failure that names the first field that is unknown, or whose value does not suit it."""
    return Document(before.name, before.version + 1, at, by, _laid_over(before.changed, change, schema, ""))


def _laid_over(before: Values, change: Any, schema: Schema, path: str) -> dict[str, Any]:
    if not isinstance(change, Mapping):
        raise invalid(path.rstrip(".") or "body", "Must be an object")
    after = dict(before)
    for name, value in change.items():
        part = schema.get(name)
        if part is None:
            raise invalid(f"{path}{name}", f"Unknown key; known here are: {', '.join(schema)}")
        if isinstance(part, Mapping):
            after[name] = _laid_over(before.get(name, {}), value, part, f"{path}{name}.")
            continue
        if part.read_only:
            raise invalid(f"{path}{name}", "Read only")
        issue = part.issue(value)
        if issue is not None:
            raise invalid(f"{path}{name}", issue)
        after[name] = value
    return after


# Kinds of leaves


def switch(default: bool) -> Leaf:
    return Leaf(default, lambda value: None if isinstance(value, bool) else "Must be true or false")


def whole(default: int, least: int, most: int) -> Leaf:
    def issue(value: Any) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if fits else f"Must be a whole number from {least} to {most}"

    return Leaf(default, issue)


def number(default: float, least: float, most: float) -> Leaf:
    def issue(value: Any) -> str | None:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        return None if fits else f"Must be a number from {least:g} to {most:g}"

    return Leaf(default, issue)


def word(default: str, longest: int = 128) -> Leaf:
    def issue(value: Any) -> str | None:
        fits = isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()
        return None if fits else f"Must be a text of 1 to {longest} characters"

    return Leaf(default, issue)


Named = Callable[[str], str | None]
"""What is wrong with a name that somebody gives, or nothing."""


def any_name(_name: str) -> str | None:
    """For those who only read: what was named may be gone since."""
    return None


def name(default: str, named: Named) -> Leaf:
    spelled = word(default)
    return Leaf(default, lambda value: spelled.issue(value) or named(value))


def told(default: Any) -> Leaf:
    return Leaf(default, lambda _value: "Read only", read_only=True)


SYSTEM: Final = "system"
