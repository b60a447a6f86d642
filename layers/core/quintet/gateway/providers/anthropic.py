"""Anthropic's Messages."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from quintet.gateway.model import Ask, Choice, Delta, ToolCall, Usage
from quintet.gateway.providers.calling import Asked, ask_for_stream, ask_once, broken_off, malformed, parsed
from quintet.gateway.providers.contents import refuse_what_only_openai_does, schema_of, unsupported
from quintet.gateway.providers.model import Answer, Fault, ProviderFault, Target
from quintet.gateway.providers.refusals import Refusal, VendorFault, fault_of
from quintet.gateway.providers.turns import Call, Conversation, Media, Piece, Result, Text, conversation
from quintet.gateway.providers.untaken import Untaken

_VENDOR = "Anthropic"
_BASE_URL = "https://api.anthropic.com"
_VERSION = "2023-06-01"  # from 2026-10-21 on, sampling parameters are refused
_ANSWER_TOKENS = 4096  # the limit is required: what is asked for where nobody says one
_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class Anthropic:
    def __init__(self) -> None:
        self._untaken = Untaken(frozenset({"temperature", "top_p"}))  # newer models take neither

    async def complete(self, ask: Ask, target: Target, seconds: float, /) -> Answer:
        talk, until = _talk(ask, target), time.monotonic() + seconds
        body = _body(ask, target, talk)
        while True:
            sent = self._untaken.without(body, target)
            try:
                told = await ask_once(
                    _VENDOR, _url(target), _headers(target), sent, until - time.monotonic(), target.rules
                )
            except VendorFault as fault:
                if self._untaken.learns(fault, sent, target):
                    continue
                raise
            return _answer(told, talk)

    @asynccontextmanager
    async def stream(self, ask: Ask, target: Target, seconds: float, /) -> AsyncIterator[AsyncIterator[Delta | Usage]]:
        talk, until = _talk(ask, target), time.monotonic() + seconds
        body = {**_body(ask, target, talk), "stream": True}
        async with AsyncExitStack() as parts:
            asked: Asked | None = None
            while asked is None:
                sent = self._untaken.without(body, target)
                asking = ask_for_stream(
                    _VENDOR, _url(target), _headers(target), sent, until - time.monotonic(), target.rules
                )
                try:
                    asked = await parts.enter_async_context(asking)
                except VendorFault as fault:
                    if not self._untaken.learns(fault, sent, target):
                        raise
            if asked.whole is not None:
                raise malformed(_VENDOR, "one piece where a stream was asked for")
            yield await parts.enter_async_context(aclosing(_streamed(asked, talk)))


def adapter() -> Anthropic:
    return Anthropic()


def _url(target: Target) -> str:
    base = (target.base_url or _BASE_URL).rstrip("/")
    return base + ("/messages" if base.endswith("/v1") else "/v1/messages")


def _headers(target: Target) -> dict[str, str]:
    """`options.auth` is `bearer` where a proxy or a token of OAuth's wants it so."""
    headers = {"content-type": "application/json", "anthropic-version": str(target.options.get("version", _VERSION))}
    if target.options.get("beta"):
        headers["anthropic-beta"] = str(target.options["beta"])
    headers |= target.headers
    if target.api_key:
        bearer = target.options.get("auth") == "bearer"
        headers["authorization" if bearer else "x-api-key"] = f"Bearer {target.api_key}" if bearer else target.api_key
    return headers


def _native_schema(target: Target) -> bool:
    return target.options.get("json_schema") == "native"


def _talk(ask: Ask, target: Target) -> Conversation:
    refuse_what_only_openai_does(ask, _VENDOR)
    return conversation(ask, schema_by_tool=not _native_schema(target))


def _body(ask: Ask, target: Target, talk: Conversation) -> dict[str, Any]:
    limit = ask.max_tokens or target.max_output or _ANSWER_TOKENS
    body: dict[str, Any] = {
        "model": target.name,
        "max_tokens": min(limit, target.max_output) if target.max_output else limit,
        "messages": [{"role": turn.role, "content": [_block(each) for each in turn.pieces]} for turn in talk.turns],
    }
    if talk.system:
        body["system"] = talk.system
    if ask.stop:
        body["stop_sequences"] = [each for each in ask.stop if each.strip()]
    if talk.tools:
        body["tools"] = [
            {"name": tool.name, "input_schema": tool.schema}
            | ({"description": tool.description} if tool.description else {})
            for tool in talk.tools
        ]
        body["tool_choice"] = _tool_choice(ask, talk)
    schema = schema_of(ask)
    if schema is not None and talk.answer_tool is None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return body | sampling(ask, target)


def sampling(ask: Ask, target: Target) -> dict[str, float]:
    """Of temperature and top_p those that the model takes, the former alone where both are given: newer models refuse
    them together. `options.sampling`: true, false, or their names. The scale ends at 1."""
    takes = target.options.get("sampling", True)
    names = ("temperature", "top_p") if takes is True else takes if isinstance(takes, list | tuple) else ()
    if ask.temperature is not None and "temperature" in names:
        return {"temperature": min(ask.temperature, 1.0)}
    if ask.top_p is not None and "top_p" in names:
        return {"top_p": ask.top_p}
    return {}


def _tool_choice(ask: Ask, talk: Conversation) -> dict[str, Any]:
    choice: dict[str, Any] = {"type": "auto"}
    if talk.must_call is not None:
        choice = {"type": "any"} if talk.must_call == "*" else {"type": "tool", "name": talk.must_call}
    if ask.extra.get("parallel_tool_calls") is False or talk.answer_tool is not None:
        choice["disable_parallel_tool_use"] = True
    return choice


def _block(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, Text):
        return {"type": "text", "text": piece.text}
    if isinstance(piece, Call):
        return {"type": "tool_use", "id": piece.id, "name": piece.name, "input": piece.input}
    if isinstance(piece, Result):
        return {"type": "tool_result", "tool_use_id": piece.id, "content": piece.text}
    return _medium(piece)


def _medium(piece: Media) -> dict[str, Any]:
    document = piece.type == "application/pdf" or bool(piece.name)
    if piece.url:
        source = {"type": "url", "url": piece.url}
    elif piece.type in ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"):
        source = {"type": "base64", "media_type": piece.type, "data": piece.data}
    else:
        raise unsupported("messages", f"{_VENDOR} takes PNG, JPEG, GIF, WebP and PDF")
    return {"type": "document" if document else "image", "source": source}


def _answer(told: Mapping[str, Any], talk: Conversation) -> Answer:
    content = told.get("content")
    if not isinstance(content, list):
        if told.get("type") == "error":
            raise fault_of(Refusal.read(told), vendor=_VENDOR)
        raise malformed(_VENDOR, "an answer without content")
    blocks = [each for each in content if isinstance(each, Mapping)]
    texts = [str(each.get("text") or "") for each in blocks if each.get("type") == "text"]
    calls = []
    answered = None
    for block in blocks:
        if block.get("type") != "tool_use":
            continue
        arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
        if block.get("name") == talk.answer_tool:
            answered = arguments
        else:
            calls.append(ToolCall(str(block.get("id")), str(block.get("name")), arguments))
    finish = _finish(told.get("stop_reason"))
    if answered is not None and not calls:
        finish = "stop" if finish == "tool_calls" else finish
    text = answered if answered is not None else "".join(texts)
    choice = Choice(text if texts or answered is not None or not calls else None, tuple(calls), finish)
    return Answer((choice,), _Counted(told.get("usage")).usage, told)


def _finish(reason: Any) -> str:
    return _FINISHES.get(reason, "stop") if isinstance(reason, str) else "stop"


class _Counted:
    """The vendor counts what it read from and wrote to its cache beside the rest; a stream tells the parts apart."""

    def __init__(self, told: Any = None) -> None:
        self._told: dict[str, int] = {}
        self.add(told)

    def add(self, told: Any) -> None:
        """Later figures replace earlier ones: they are totals."""
        for name, count in told.items() if isinstance(told, Mapping) else ():
            if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
                self._told[name] = count

    @property
    def usage(self) -> Usage | None:
        if "input_tokens" not in self._told or "output_tokens" not in self._told:
            return None
        read, written = (self._told.get(f"cache_{each}_input_tokens", 0) for each in ("read", "creation"))
        return Usage(
            input=self._told["input_tokens"] + read + written,
            output=self._told["output_tokens"],
            cached=read,
            cache_written=written,
        )


async def _streamed(asked: Asked, talk: Conversation) -> AsyncGenerator[Delta | Usage]:
    counted, reading = _Counted(), _Reading(talk)
    finish: str | None = None
    ended = False
    final = False  # the output's count is the last one
    try:
        async for event in asked.events():
            told = parsed(_VENDOR, event.data)
            kind = told.get("type") or event.name
            if kind == "message_start":
                counted.add(_part(told, "message").get("usage"))
            elif kind in ("content_block_start", "content_block_delta"):
                asked.started = True
                delta = reading.started(told) if kind == "content_block_start" else reading.continued(told)
                if delta is not None:
                    yield delta
            elif kind == "message_delta":
                finish = reading.finish(_finish(_part(told, "delta").get("stop_reason")))
                final = final or "output_tokens" in _part(told, "usage")
                counted.add(told.get("usage"))
                yield Delta(finish_reason=finish)
            elif kind == "message_stop":
                ended = True
                break
            elif kind == "error":
                raise fault_of(Refusal.read(told), vendor=_VENDOR, charged=True)
    except ProviderFault as fault:
        if finish is None or fault.fault != Fault.NETWORK:
            raise
    if not ended and finish is None:
        raise broken_off(_VENDOR)
    if finish is None:
        yield Delta(finish_reason=reading.finish("stop"))
    if final and counted.usage is not None:
        yield counted.usage
    await asked.farewell()


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = told.get(name)
    return part if isinstance(part, Mapping) else {}


class _Reading:
    """Blocks have numbers of their own: which are tool calls, and which of those is the answer itself."""

    def __init__(self, talk: Conversation) -> None:
        self._answer_tool = talk.answer_tool
        self._tools: dict[Any, int] = {}  # block → tool call
        self._answers: set[Any] = set()

    def started(self, told: Mapping[str, Any]) -> Delta | None:
        block, index = _part(told, "content_block"), told.get("index")
        if block.get("type") == "tool_use":
            if self._answer_tool is not None and block.get("name") == self._answer_tool:
                self._answers.add(index)
                return None
            number = self._tools[index] = len(self._tools)
            return Delta(tool_index=number, tool_id=str(block.get("id")), tool_name=str(block.get("name")))
        text = block.get("text") if block.get("type") == "text" else None
        return Delta(text=str(text)) if text and self._speaks else None

    def continued(self, told: Mapping[str, Any]) -> Delta | None:
        delta, index = _part(told, "delta"), told.get("index")
        if delta.get("type") == "text_delta" and self._speaks:
            return Delta(text=str(delta.get("text") or ""))
        if delta.get("type") == "input_json_delta":
            piece = str(delta.get("partial_json") or "")
            if index in self._answers:
                return Delta(text=piece) if piece else None
            if piece and index in self._tools:
                return Delta(tool_index=self._tools[index], tool_arguments=piece)
        return None

    def finish(self, reason: str) -> str:
        return "stop" if reason == "tool_calls" and self._answers and not self._tools else reason

    @property
    def _speaks(self) -> bool:
        """Where the answer is a tool's input, what is said beside it would break the JSON."""
        return self._answer_tool is None
