"""A conversation as vendors beside OpenAI want it: instructions apart, user and assistant in turns, typed pieces."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quintet.gateway.model import Ask, Message
from quintet.gateway.providers.contents import (
    INSTRUCTING,
    arguments_of,
    mapping,
    offered,
    parameters_of,
    parts,
    schema_of,
    sequence,
    text_of,
    unsupported,
    wants_json,
)

_DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_OPENING = "(The conversation begins.)"
_JSON_PLEASE = "Answer with a single JSON object and nothing else: no prose, no code fence."
_ANSWER_TOOL = "json_answer"


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """An image or a document: its bytes in base64, or where it lies."""

    type: str  # image/png, application/pdf
    data: str = ""
    url: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered."""

    id: str
    text: str


Piece = Text | Media | Call | Result


@dataclass(slots=True)
class Turn:
    role: str  # user or assistant
    pieces: list[Piece] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """`answer_tool` is the tool whose input is the JSON that was asked for; `must_call`: any, or the tool's name."""

    system: str
    turns: Sequence[Turn]
    tools: Sequence[Tool]
    must_call: str | None  # None leaves it to the model, "*" is any
    answer_tool: str | None


def conversation(ask: Ask, *, schema_by_tool: bool = True) -> Conversation:
    """`schema_by_tool` is False where the vendor itself holds an answer to its schema. Raises UNSUPPORTED."""
    system = [text for each in ask.messages if each.get("role") in INSTRUCTING if (text := text_of(each))]
    if wants_json(ask):
        system.append(_JSON_PLEASE)
    functions, must_call = offered(ask)
    tools = [Tool(each["name"], str(each.get("description") or ""), parameters_of(each)) for each in functions]
    answer_tool = None
    schema = schema_of(ask) if schema_by_tool else None
    if schema is not None:
        answer_tool = _free_name({tool.name for tool in tools})
        tools = [*tools, _answer_tool(answer_tool, schema, ask)]
        must_call = answer_tool if len(tools) == 1 else "*"
    turns = _turns(ask.messages)
    if not tools:
        turns = [Turn(turn.role, [_in_words(piece) for piece in turn.pieces]) for turn in turns]
    return Conversation("\n\n".join(system), turns, tools, must_call, answer_tool)


def _answer_tool(name: str, schema: Mapping[str, Any], ask: Ask) -> Tool:
    if schema.get("type", "object") != "object":
        raise unsupported("response_format", "this vendor's answers can only fit a schema of type object")
    about = mapping(mapping(ask.response_format).get("json_schema")).get("description")
    return Tool(name, str(about or "Gives the answer. Its input is the answer itself."), schema)


def _free_name(taken: set[str]) -> str:
    name = _ANSWER_TOOL
    while name in taken:
        name += "_"
    return name


def _turns(messages: Sequence[Message]) -> list[Turn]:
    turns: list[Turn] = []
    for message in messages:
        role = message.get("role")
        if role in INSTRUCTING:
            continue
        pieces = list(_pieces(message))
        side = "assistant" if role == "assistant" else "user"
        if not pieces:
            continue
        if turns and turns[-1].role == side:
            turns[-1].pieces += pieces
        else:
            turns.append(Turn(side, pieces))
    if not turns or turns[0].role == "assistant":
        turns.insert(0, Turn("user", [Text(_OPENING)]))
    last = turns[-1].pieces[-1]
    if turns[-1].role == "assistant" and isinstance(last, Text):
        turns[-1].pieces[-1] = Text(last.text.rstrip() or ".")  # vendors refuse a last word that ends in white space
    return turns


def _pieces(message: Message) -> Iterator[Piece]:
    if message.get("role") == "tool":
        yield Result(_id(message.get("tool_call_id")), text_of(message))
        return
    for part in parts(message):
        piece = _piece(part)
        if piece is not None:
            yield piece
    for call in map(mapping, sequence(message.get("tool_calls"))):
        name = str(mapping(call.get("function")).get("name") or "tool")
        yield Call(_id(call.get("id")), name, arguments_of(call))


def _piece(part: Mapping[str, Any]) -> Piece | None:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        text = str(part.get(kind) or "")
        return Text(text) if text.strip() else None
    if kind == "image_url":
        image = part.get("image_url")
        return _media(str((image.get("url") if isinstance(image, Mapping) else image) or ""), "image")
    if kind == "file":
        file = mapping(part.get("file"))
        if file.get("file_data"):
            return _media(str(file["file_data"]), "file", str(file.get("filename") or "document"))
    raise unsupported("messages", f"content of type {str(kind)[:40]} is not supported by this model's vendor")


def _media(url: str, kind: str, name: str = "") -> Media:
    match = _DATA_URL.match(url)
    if match is None:
        if url.startswith("https://"):
            return Media("", url=url, name=name)
        raise unsupported("messages", f"an {kind} is given as a data URL in base64 or as an https URL")
    data = url[match.end() :]
    try:
        base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        raise unsupported("messages", f"the {kind}'s base64 is damaged") from None
    return Media(match[1].lower(), data=data, name=name)


def _in_words(piece: Piece) -> Piece:
    """Where no tools are offered, vendors refuse the traces of earlier calls: they are told as text."""
    if isinstance(piece, Call):
        return Text(f"[called {piece.name} with {dict(piece.input)}]")
    if isinstance(piece, Result):
        return Text(f"[the tool answered: {piece.text}]")
    return piece


def _id(given: Any) -> str:
    return _NOT_IN_IDS.sub("_", str(given or "call"))[:64]
