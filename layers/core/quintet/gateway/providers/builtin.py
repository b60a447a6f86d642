"""`builtin/echo`, the model that needs no network: deterministic, so that every API works on a fresh machine.

It repeats what it heard, fills the JSON that it is asked for, and calls the tool that it is told to.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from quintet.gateway.model import Ask, Choice, Delta, ToolCall, Usage
from quintet.gateway.providers.contents import (
    INSTRUCTING,
    offered,
    parameters_of,
    parts,
    refuse_what_only_openai_does,
    schema_of,
    text_of,
    wants_json,
)
from quintet.gateway.providers.model import Answer, Target
from quintet.gateway.providers.samples import sample

_WHO = "This is builtin/echo, the model that answers offline."
_QUOTED = 200  # characters of what was heard that are said again
_TOKEN = re.compile(r"\s*\w{1,12}|\s*[^\w\s]|\s+")
_WORD = re.compile(r"\s*\S+\s*$|\s*\S+|\s+")
_PER_MESSAGE = 3  # tokens that each message costs beside its text
_PER_IMAGE = 85
_ASKS_FOR_JSON = re.compile(
    r"\b(?:answer|respond|reply|return|output|produce|write|give|emit|only|as|in)\b[^.\n]{0,60}\bjson\b", re.IGNORECASE
)
_SEARCHED = 20_000  # characters that are looked through for an example of the JSON that is asked for


def tokens(text: str) -> int:
    return sum(1 for _ in _TOKEN.finditer(text))


class Builtin:
    async def complete(self, ask: Ask, _target: Target, _seconds: float, /) -> Answer:
        choices = _answers(ask)
        return Answer(choices, _usage(ask, choices))

    @asynccontextmanager
    async def stream(
        self, ask: Ask, _target: Target, _seconds: float, /
    ) -> AsyncIterator[AsyncIterator[Delta | Usage]]:
        choices = _answers(ask)
        async with aclosing(_streamed(choices, _usage(ask, choices))) as pieces:
            yield pieces


def adapter() -> Builtin:
    return Builtin()


async def _streamed(choices: tuple[Choice, ...], usage: Usage) -> AsyncGenerator[Delta | Usage]:
    for index, choice in enumerate(choices):
        for delta in _deltas(choice, index):
            yield delta
            await asyncio.sleep(0)  # whoever listens may have gone
    yield usage


def _deltas(choice: Choice, index: int) -> Iterator[Delta]:
    for word in _WORD.findall(choice.content or ""):
        yield Delta(text=word, choice=index)
    for number, call in enumerate(choice.tool_calls):
        yield Delta(tool_index=number, tool_id=call.id, tool_name=call.name, choice=index)
        for piece in _WORD.findall(call.arguments):
            yield Delta(tool_index=number, tool_arguments=piece, choice=index)
    yield Delta(finish_reason=choice.finish_reason, choice=index)


def _answers(ask: Ask) -> tuple[Choice, ...]:
    refuse_what_only_openai_does(ask, "builtin/echo", several=True)
    return (_answer(ask),) * max(1, int(ask.extra.get("n") or 1))


def _answer(ask: Ask) -> Choice:
    called = _tool_to_call(ask)
    if called is not None:
        return Choice(None, (_call(ask, called),), "tool_calls")
    text = _text(ask)
    for end in ask.stop:
        if end and end in text:
            text = text[: text.index(end)]
    if ask.max_tokens is not None:
        whole = list(_TOKEN.finditer(text))
        if len(whole) > ask.max_tokens:
            return Choice(text[: whole[ask.max_tokens].start()], (), "length")
    return Choice(text)


def _text(ask: Ask) -> str:
    heard = _heard(ask)
    schema = schema_of(ask)
    if schema is not None:
        return json.dumps(sample(schema, heard or "text"), ensure_ascii=False)
    told = [text_of(each) for each in ask.messages if each.get("role") in INSTRUCTING]
    asking = [*told, _last_from_user(ask)]
    if wants_json(ask) or any(_ASKS_FOR_JSON.search(each[:_SEARCHED]) for each in asking):
        return json.dumps(_example(asking) or {"answer": heard}, ensure_ascii=False)
    if ask.messages and ask.messages[-1].get("role") == "tool":
        return f"{_WHO} The tool answered: {heard}"
    return f"{_WHO} You said: {heard}" if heard else _WHO


def _heard(ask: Ask) -> str:
    """The last message's text on one line, cut to what is quoted. Instructions are not said, so nobody hears them."""
    last = ask.messages[-1] if ask.messages else {}
    text = "" if last.get("role") in INSTRUCTING else " ".join(text_of(last).split())
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"


def _last_from_user(ask: Ask) -> str:
    return next((text_of(each) for each in reversed(ask.messages) if each.get("role") == "user"), "")


def _example(asking: list[str]) -> dict[str, Any] | None:
    """The fullest JSON object among what was asked: an instruction often shows the form that it wants."""
    return max((each for text in asking for each in _objects(text)), key=lambda each: len(str(each)), default=None)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    text, at, tries = text[:_SEARCHED], 0, 0
    while (at := text.find("{", at)) >= 0 and tries < 50:
        tries += 1
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if value:
            yield value
        at = end


def _tool_to_call(ask: Ask) -> Mapping[str, Any] | None:
    """The one that the choice demands, or that the user's own words name; never twice in a row for the same words."""
    functions, must_call = offered(ask)
    if must_call == "*":
        return _named(functions, _last_from_user(ask)) or functions[0]
    if must_call is not None:
        return next((each for each in functions if each["name"] == must_call), None)
    return _named(functions, _last_from_user(ask)) if ask.messages and ask.messages[-1].get("role") == "user" else None


def _named(functions: list[Mapping[str, Any]], text: str) -> Mapping[str, Any] | None:
    words = " " + re.sub(r"[\W_]+", " ", text).lower() + " "
    for function in functions:
        name = re.sub(r"[\W_]+", " ", function["name"]).lower().strip()
        if name and f" {name} " in words:
            return function
    return None


def _call(ask: Ask, function: Mapping[str, Any]) -> ToolCall:
    """With the arguments that the user wrote out as JSON, else with such as fit."""
    text = _last_from_user(ask)
    written = next(_objects(text), None)
    arguments = written if written is not None else sample(parameters_of(function), "text")
    name = function["name"]
    told = json.dumps([name, arguments, len(ask.messages)], ensure_ascii=False)
    return ToolCall(
        "call_" + hashlib.sha256(told.encode(errors="replace")).hexdigest()[:24],
        name,
        json.dumps(arguments, ensure_ascii=False),
    )


def _usage(ask: Ask, choices: tuple[Choice, ...]) -> Usage:
    spoken = sum(_PER_MESSAGE + _spent_on(message) for message in ask.messages)
    offered = tokens(json.dumps(list(ask.tools), default=str)) if ask.tools else 0
    answered = sum(
        tokens(choice.content or "") + sum(tokens(call.name + call.arguments) for call in choice.tool_calls)
        for choice in choices
    )
    return Usage(input=spoken + offered, output=answered)


def _spent_on(message: Mapping[str, Any]) -> int:
    images = sum(1 for part in parts(message) if part.get("type") == "image_url")
    calls = message.get("tool_calls")
    return tokens(text_of(message)) + _PER_IMAGE * images + (tokens(json.dumps(calls, default=str)) if calls else 0)
