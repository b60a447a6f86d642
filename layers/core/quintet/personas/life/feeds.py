"""RSS, Atom and JSON feeds, read without trust: no entities, no depth, no more than a few short headlines."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

MOST_ITEMS = 20
_DEEPEST = 32
_TITLE = 300  # characters
_TAG = re.compile(r"<[^>]*>")
_ITEMS = frozenset({"item", "entry"})
_FIELDS = frozenset({"title", "link", "guid", "id"})


class NotAFeed(ValueError):  # noqa: N818 - what the bytes are
    """Says why."""


@dataclass(frozen=True, slots=True)
class Headline:
    title: str
    link: str = ""
    id: str = ""

    @property
    def key(self) -> str:
        """What makes it the same headline when it is read again."""
        return self.id or self.link or self.title


def headlines(body: bytes) -> list[Headline]:
    """The first ones. Raises NotAFeed."""
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    found = _of_json(body) if start in (b"{", b"[") else _of_xml(body)
    return [each for each in found if each.title][:MOST_ITEMS]


def _of_json(body: bytes) -> list[Headline]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAFeed("it is neither XML nor valid JSON") from None
    items = told.get("items") if isinstance(told, dict) else None
    if not isinstance(items, list):
        raise NotAFeed("it is JSON without items")
    return [_of_item(each) for each in items[: 2 * MOST_ITEMS] if isinstance(each, dict)]


def _of_item(told: Mapping[str, Any]) -> Headline:
    text = next((told[name] for name in ("title", "summary", "content_text") if isinstance(told.get(name), str)), "")
    link = next((told[name] for name in ("url", "external_url") if isinstance(told.get(name), str)), "")
    identifier = told.get("id")
    return Headline(_plain(text), link[:2048], identifier[:2048] if isinstance(identifier, str) else "")


def _of_xml(body: bytes) -> list[Headline]:
    reader = _Reader()
    try:
        reader.read(body)
    except expat.ExpatError:
        if not reader.found:
            raise NotAFeed("it is no well-formed XML") from None
    if not reader.is_feed:
        raise NotAFeed("it is XML, but neither RSS nor Atom")
    return reader.found


class _Full(Exception):  # noqa: N818 - an outcome
    """Enough has been read."""


class _Reader:
    """Takes what is directly within an item; all else passes by."""

    def __init__(self) -> None:
        self.found: list[Headline] = []
        self.is_feed = False
        self._path: list[str] = []
        self._item: dict[str, str] | None = None
        self._depth = 0  # of the item
        self._field = ""
        self._text: list[str] = []

    def read(self, body: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = lambda *_: 0
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._say
        try:
            parser.Parse(body, True)
        except _Full:
            return

    def _refuse(self, *_: Any) -> None:
        raise NotAFeed("it declares a document type or entities, which no feed needs")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(" ")[2].lower()
        self._path.append(local)
        if len(self._path) > _DEEPEST:
            raise NotAFeed("it is nested too deeply")
        if len(self._path) == 1:
            self.is_feed = local in ("rss", "feed", "rdf")
        if self._item is None and local in _ITEMS:
            self._item, self._depth = {}, len(self._path)
        elif self._item is not None and len(self._path) == self._depth + 1 and local in _FIELDS:
            self._field, self._text = local, []
            if local == "link" and attributes.get("rel", "alternate") == "alternate" and "href" in attributes:
                self._item.setdefault("link", attributes["href"])

    def _end(self, _name: str) -> None:
        local = self._path.pop()
        if self._item is None:
            return
        if self._field == local and len(self._path) == self._depth:
            text = "".join(self._text).strip()
            if text:
                self._item.setdefault(local, text)
            self._field = ""
        elif len(self._path) == self._depth - 1:
            told, self._item = self._item, None
            identifier = told.get("guid") or told.get("id") or ""
            self.found.append(Headline(_plain(told.get("title", "")), told.get("link", "")[:2048], identifier[:2048]))
            if len(self.found) >= 2 * MOST_ITEMS:
                raise _Full

    def _say(self, text: str) -> None:
        if self._field and len(self._text) < 4096:
            self._text.append(text)


def _plain(text: str) -> str:
    """Some feeds write HTML into their titles, and escape it twice."""
    bare = " ".join(_TAG.sub(" ", html.unescape(text[: 8 * _TITLE])).split())
    return bare if len(bare) <= _TITLE else bare[: _TITLE - 1] + "…"
