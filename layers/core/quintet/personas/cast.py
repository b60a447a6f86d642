"""Who the personas are: cast.json, checked as a whole before anybody speaks."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from quintet.personas.model import Activity, Persona

_FILE = Path(__file__).with_name("cast.json")
_ID = re.compile(r"[a-z][a-z0-9-]{1,30}")
_FIELDS = frozenset(Persona.__dataclass_fields__)
_REQUIRED = frozenset({"id", "name", "title", "character", "topics", "timezone", "hours"})
_RESERVED = frozenset({"auto"})  # words that mean something else where a model is named


class BadCast(ValueError):  # noqa: N818 - what the file is
    """Names the persona and the field."""


class Cast:
    """All personas. The first one answers whoever asks for nobody in particular."""

    def __init__(self, personas: tuple[Persona, ...]) -> None:
        self.personas = personas
        self._by_word = {word: each for each in personas for word in (each.id, each.name.casefold())}

    @property
    def first(self) -> Persona:
        return self.personas[0]

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.personas]

    def find(self, word: str) -> Persona | None:
        """By id or name, however it is capitalised."""
        return self._by_word.get(word.strip().casefold())


@cache
def cast() -> Cast:
    return read(_FILE.read_text("utf-8"))


def read(text: str) -> Cast:
    """Raises BadCast."""
    try:
        told = json.loads(text)["personas"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadCast(f"the cast is no JSON object with personas: {error}") from None
    if not isinstance(told, list) or not told:
        raise BadCast("there must be at least one persona")
    personas = tuple(_persona(each, place) for place, each in enumerate(told))
    words = [word for each in personas for word in {each.id, each.name.casefold()}]
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        raise BadCast(f"two personas answer to {twice[0]!r}")
    return Cast(personas)


def _persona(told: Any, place: int) -> Persona:
    where = f"personas[{place}]"
    if not isinstance(told, dict):
        raise BadCast(f"{where} is no object")
    where = f"{where} ({told.get('id', '?')})"
    for name in sorted(told.keys() - _FIELDS):
        raise BadCast(f"{where}: there is no field {name!r}")
    for name in sorted(_REQUIRED - told.keys()):
        raise BadCast(f"{where}: {name} is missing")
    return Persona(
        id=_identifier(told["id"], where),
        name=_text(told, "name", where),
        title=_text(told, "title", where),
        character=_text(told, "character", where),
        topics=_texts(told, "topics", where),
        timezone=_timezone(told["timezone"], where),
        hours=_hours(told["hours"], where),
        model=_text(told, "model", where) if "model" in told else "auto",
        temperature=_temperature(told.get("temperature"), where),
        sources=_sources(told, where),
        goals=_texts(told, "goals", where),
        blocked_words=_texts(told, "blocked_words", where),
        greeting=_text(told, "greeting", where) if "greeting" in told else "",
    )


def _identifier(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value) or value in _RESERVED:
        raise BadCast(f"{where}: id is a short word in small letters")
    return value


def _text(told: Mapping[str, Any], name: str, where: str) -> str:
    value = told[name]
    if not isinstance(value, str) or not value.strip():
        raise BadCast(f"{where}: {name} is no text")
    return value.strip()


def _texts(told: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    values = told.get(name, [])
    if not isinstance(values, list) or not all(isinstance(each, str) and each.strip() for each in values):
        raise BadCast(f"{where}: {name} is no list of texts")
    return tuple(values)


def _timezone(value: Any, where: str) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, TypeError, OSError):  # not found, not a name, not a text, a folder
        raise BadCast(f"{where}: there is no time zone {value!r}") from None


def _hours(value: Any, where: str) -> dict[Activity, tuple[int, ...]]:
    if not isinstance(value, dict):
        raise BadCast(f"{where}: hours is no object")
    hours = {}
    for name, told in value.items():
        if name not in set(Activity):
            raise BadCast(f"{where}: there is no activity {name!r}")
        if not isinstance(told, list) or not all(type(hour) is int and 0 <= hour <= 23 for hour in told):
            raise BadCast(f"{where}: hours.{name} is no list of hours from 0 to 23")
        hours[Activity(name)] = tuple(sorted(set(told)))
    return hours


def _temperature(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
        raise BadCast(f"{where}: temperature is no number from 0 to 2")
    return float(value)


def _sources(told: Mapping[str, Any], where: str) -> tuple[str, ...]:
    sources = _texts(told, "sources", where)
    for each in sources:
        parts = urlsplit(each)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadCast(f"{where}: {each!r} is no address of a feed")
    return sources
