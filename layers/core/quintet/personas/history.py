"""What a conversation was so far: which of a caller's messages are new, what is kept, and what a model is shown."""

import json
from collections.abc import Sequence
from typing import Any

from quintet.gateway.model import Message
from quintet.personas.model import KEPT_TURNS

MOST_TURNS = 2 * KEPT_TURNS  # kept at the most, while older ones wait to be summarised
FOLDED_TO = KEPT_TURNS - 10  # turns that a summary leaves: not every turn beyond the limit costs one
_LONGEST = 12_000  # characters of one message that are kept
_LONGEST_CALLS = 60_000  # bytes of the calls of one message
_MOST = 240_000  # bytes of all: an item of the table takes 400 KB
_INSTRUCTING = ("system", "developer")


def instructions(messages: Sequence[Message]) -> list[Message]:
    """They hold for this request alone."""
    return [each for each in messages if each["role"] in _INSTRUCTING]


def said(messages: Sequence[Message]) -> list[Message]:
    return [each for each in messages if each["role"] not in _INSTRUCTING]


def new_messages(known: Sequence[Message], asked: Sequence[Message]) -> list[Message]:
    """What a request adds to what is known. Many clients send the whole conversation every time.

    A conversation that nobody knows yet is taken over as it is. Else what follows the last answer is new, less what
    is known of it already: a caller who interrupts us sends the interrupted question again.
    """
    told = said(asked)
    if not known:
        return told
    answered = max((place for place, each in enumerate(told) if each["role"] == "assistant"), default=-1)
    fresh = told[answered + 1 :]
    known_words = [text_of(each) for each in known if each["role"] == "user"]
    words = [text_of(each) for each in fresh]
    for count in range(min(len(known_words), len(fresh) - 1), 0, -1):
        if known_words[-count:] == words[:count]:
            return fresh[count:]
    return fresh or told[-1:]  # whoever ends with an answer of ours wants it continued


def mended(messages: Sequence[Message]) -> list[Message]:
    """Without tool calls that nobody answered and answers that nobody asked for: vendors refuse both, for ever."""
    whole: list[Message] = []
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if message["role"] == "tool":
            continue  # the answers that belong to a call are taken with it, below
        calls = {call["id"] for call in message.get("tool_calls") or ()}
        if not calls:
            whole.append(message)
            continue
        answers: list[Message] = []
        while place < len(messages) and messages[place]["role"] == "tool":
            answers.append(messages[place])
            place += 1
        answered = {each["tool_call_id"]: each for each in answers if each["tool_call_id"] in calls}
        if calls == answered.keys():
            whole += [message, *answered.values()]
        elif message.get("content"):
            whole.append({name: value for name, value in message.items() if name != "tool_calls"})
    return whole


def turns(messages: Sequence[Message]) -> list[list[Message]]:
    """A turn begins with what the caller says and ends before the caller speaks again."""
    found: list[list[Message]] = []
    for message in messages:
        speaks = message["role"] == "user" and not (found and found[-1][-1]["role"] == "user")
        if speaks or not found:
            found.append([])
        found[-1].append(message)
    return found


def recent(messages: Sequence[Message], most: int = KEPT_TURNS) -> list[Message]:
    return [message for turn in turns(messages)[-most:] for message in turn]


def kept(messages: Sequence[Message]) -> list[Message]:
    """As much as is stored: no pictures, nothing overlong, no more than fits."""
    small = [_small(each) for each in messages]
    whole = [[(message, _size(message)) for message in turn] for turn in turns(small)[-MOST_TURNS:]]
    size = sum(each for turn in whole for _, each in turn)
    while size > _MOST:
        dropped = whole.pop(0) if len(whole) > 1 else [whole[0].pop(0)]
        size -= sum(each for _, each in dropped)
    return [message for turn in whole for message, _ in turn]


def to_fold(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """What a summary is due for, and what stays as it is."""
    whole = turns(messages)
    if len(whole) <= KEPT_TURNS:
        return [], list(messages)
    old, new = whole[:-FOLDED_TO], whole[-FOLDED_TO:]
    return [message for turn in old for message in turn], [message for turn in new for message in turn]


def text_of(message: Message) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in content)


def transcript(messages: Sequence[Message], name: str) -> str:
    """For a model to read: who said what."""
    lines = []
    for each in messages:
        who = {"user": "Caller", "assistant": name}.get(str(each["role"]), "")
        if who and text_of(each):
            lines.append(f"{who}: {text_of(each)}")
    return "\n".join(lines)


def _small(message: Message) -> Message:
    calls = message.get("tool_calls")
    if calls and _size(calls) > _LONGEST_CALLS:
        names = ", ".join(sorted({str(call[call["type"]].get("name")) for call in calls}))
        bare = {name: value for name, value in message.items() if name != "tool_calls"}
        message = {**bare, "content": message.get("content") or f"[{names}]"}
    content = message.get("content")
    if isinstance(content, str | list) and (isinstance(content, list) or len(content) > _LONGEST):
        text = text_of(message)
        return {**message, "content": text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"}
    return message


def _size(told: Any) -> int:
    """In bytes, as it is stored."""
    return len(json.dumps(told, ensure_ascii=False).encode(errors="replace"))
