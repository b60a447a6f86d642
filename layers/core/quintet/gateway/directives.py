"""Routing directives in the conversation itself: one line of the first user message, which no model gets to see."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from quintet.gateway.model import NANO, Message, Terms

MOST_USD = 100
MOST_MS = 300_000
MOST_WEIGHT = 10

_LINE = re.compile(r"^[ \t]*@@(?:quintet|tokenhub)\b[ \t]*(?P<words>[^\r\n]*)(?:\r?\n|\Z)", re.MULTILINE)
_WORD = re.compile(r"(mode|budget|latency|min_weight)=(\S+)")


def directed(messages: Sequence[Message], terms: Terms) -> tuple[Sequence[Message], Terms]:
    """The messages without the line, and the terms as it overrides them. A word that makes no sense is ignored."""
    place = next((index for index, each in enumerate(messages) if each.get("role") == "user"), None)
    if place is None:
        return messages, terms
    text = _text_of(messages[place])
    found = _LINE.search(text)
    if found is None:
        return messages, terms
    stripped = _without(messages[place], _LINE.sub("", text, count=1))
    return [*messages[:place], stripped, *messages[place + 1 :]], _overridden(terms, found["words"])


def _text_of(message: Message) -> str:
    """Of a list of parts, the first text."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return next((part["text"] for part in _parts(content) if isinstance(part.get("text"), str)), "")


def _without(message: Message, text: str) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": text}
    parts = list(content)
    place = next(index for index, part in enumerate(parts) if isinstance(part, Mapping) and "text" in part)
    parts[place] = {**parts[place], "text": text}
    return {**message, "content": parts}


def _parts(content: Any) -> list[Mapping[str, Any]]:
    return [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []


def _overridden(terms: Terms, words: str) -> Terms:
    for name, value in _WORD.findall(words):
        if name == "mode":
            terms = replace(terms, mode=value)
        elif (number := _number(value)) is not None:
            if name == "budget" and 0 < number <= MOST_USD:
                terms = replace(terms, max_budget=int(number * NANO))
            elif name == "latency" and 1 <= number <= MOST_MS:
                terms = replace(terms, max_latency_ms=int(number))
            elif name == "min_weight" and 0 <= number <= MOST_WEIGHT:
                terms = replace(terms, min_weight=float(number))
    return terms


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
