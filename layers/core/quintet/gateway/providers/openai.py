"""Chat completions as OpenAI and the many servers that speak like it have them."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from quintet.gateway.model import Ask, Choice, Delta, Message, ToolCall, Usage
from quintet.gateway.providers.calling import Asked, ask_for_stream, ask_once, broken_off, malformed, parsed
from quintet.gateway.providers.contents import function_tools, sequence, unsupported
from quintet.gateway.providers.model import Answer, Fault, ProviderFault, Target
from quintet.gateway.providers.refusals import Refusal, VendorFault, fault_of
from quintet.gateway.providers.untaken import Untaken

_VENDOR = "the OpenAI-compatible server"
_BASE_URL = "https://api.openai.com/v1"
_MESSAGE_FIELDS = ("content", "name", "tool_calls", "tool_call_id", "refusal")
# What is handed on of what callers may say beside. Left out: what changes the price (service_tier), what keeps the
# prompt at the vendor's (store, metadata), and what nobody here could answer with.
_HANDED_ON = (
    "n",
    "logprobs",
    "top_logprobs",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "prediction",
    "prompt_cache_key",
    "safety_identifier",
    "user",
)
_REFUSED = ("audio", "web_search_options", "functions", "function_call")
_FINISHES = {"stop", "length", "tool_calls", "content_filter"}
_SAMPLING = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias")
_DROPPABLE = frozenset({*_SAMPLING, "max_tokens", "reasoning_effort", "verbosity", "stop", "stream_options", "user"})
_UNKNOWN_WORDS = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"})


class OpenAi:
    """A parameter that a model turns out not to take is left out from then on."""

    def __init__(self) -> None:
        self._untaken = Untaken(_DROPPABLE, _UNKNOWN_WORDS)

    async def complete(self, ask: Ask, target: Target, seconds: float, /) -> Answer:
        body, until = _body(ask, target), time.monotonic() + seconds
        while True:
            sent = self._without_untaken(body, target)
            try:
                told = await ask_once(
                    _VENDOR, _url(target), _headers(target), sent, until - time.monotonic(), target.rules
                )
            except VendorFault as fault:
                if self._untaken.learns(fault, sent, target):
                    continue
                raise
            return _answer(told)

    @asynccontextmanager
    async def stream(self, ask: Ask, target: Target, seconds: float, /) -> AsyncIterator[AsyncIterator[Delta | Usage]]:
        body = {**_body(ask, target), "stream": True, "stream_options": {"include_usage": True}}
        until = time.monotonic() + seconds
        answers = ask.extra.get("n") or 1
        async with AsyncExitStack() as parts:
            asked: Asked | None = None
            while asked is None:
                sent = self._without_untaken(body, target)
                asking = ask_for_stream(
                    _VENDOR, _url(target), _headers(target), sent, until - time.monotonic(), target.rules
                )
                try:
                    asked = await parts.enter_async_context(asking)
                except VendorFault as fault:
                    if not self._untaken.learns(fault, sent, target):
                        raise
            pieces = _whole(asked.whole) if asked.whole is not None else _streamed(asked, answers)
            yield await parts.enter_async_context(aclosing(pieces))

    def _without_untaken(self, body: dict[str, Any], target: Target) -> dict[str, Any]:
        """The limit stays whatever it is called: money was reserved for it."""
        kept = self._untaken.without(body, target)
        if "max_tokens" in body and "max_tokens" not in kept:
            kept["max_completion_tokens"] = body["max_tokens"]
        return kept


def adapter() -> OpenAi:
    return OpenAi()


def _url(target: Target) -> str:
    """A query in the base URL, an API version say, stays at the end."""
    base, mark, query = (target.base_url or _BASE_URL).partition("?")
    return base.rstrip("/") + "/chat/completions" + mark + query


def _headers(target: Target) -> dict[str, str]:
    """`options.auth` names another header than Authorization for the key: `api-key` on Azure."""
    headers = {"content-type": "application/json", **target.headers}
    if target.api_key:
        other = target.options.get("auth")
        headers[str(other or "authorization")] = target.api_key if other else f"Bearer {target.api_key}"
    return headers


def _body(ask: Ask, target: Target) -> dict[str, Any]:
    for name in _REFUSED:
        if ask.extra.get(name):
            raise unsupported(name, f"{name} is not offered here")
    if any(each != "text" for each in sequence(ask.extra.get("modalities"))):
        raise unsupported("modalities", "answers are text alone")
    function_tools(ask)  # refuses tools of another kind
    body: dict[str, Any] = {"model": target.name, "messages": [_message(each) for each in ask.messages]}
    if ask.tools:
        body["tools"] = list(ask.tools)
        if ask.tool_choice is not None:
            body["tool_choice"] = ask.tool_choice
    if ask.response_format is not None and ask.response_format.get("type") != "text":
        body["response_format"] = ask.response_format
    if ask.max_tokens is not None:
        body[_limit_field(target)] = ask.max_tokens
    if ask.stop:
        body["stop"] = list(ask.stop)
    extra = {name: ask.extra[name] for name in _HANDED_ON if ask.extra.get(name) is not None}
    if not ask.tools:
        extra.pop("parallel_tool_calls", None)
    shading = {"temperature": ask.temperature, "top_p": ask.top_p, "seed": ask.seed}
    body |= {name: value for name, value in {**extra, **shading}.items() if value is not None}
    return taken(body, target)


def taken(body: dict[str, Any], target: Target) -> dict[str, Any]:
    """`options.sampling` says which sampling parameters the model takes: all (true), none (false), or these."""
    sampling = target.options.get("sampling", True)
    if sampling is True:
        return body
    allowed = sampling if isinstance(sampling, list | tuple) else ()
    return {name: value for name, value in body.items() if name not in _SAMPLING or name in allowed}


def _limit_field(target: Target) -> str:
    """OpenAI's own reasoning models take the new name alone, most other servers the old."""
    named = target.options.get("max_tokens_field")
    if isinstance(named, str):
        return named
    host = urlsplit(target.base_url or _BASE_URL).hostname or ""
    own = host in ("api.openai.com", "eu.api.openai.com") or host.endswith(".openai.azure.com")
    return "max_completion_tokens" if own else "max_tokens"


def _message(message: Message) -> dict[str, Any]:
    """Strict servers refuse fields that they do not know, and `developer` is OpenAI's own word."""
    role = message.get("role")
    kept = {name: message[name] for name in _MESSAGE_FIELDS if message.get(name) is not None}
    if "content" not in kept and role == "assistant":
        kept["content"] = None
    return {"role": "system" if role == "developer" else role, **kept}


def _answer(told: Mapping[str, Any]) -> Answer:
    choices = told.get("choices")
    if not isinstance(choices, list) or not choices:
        if told.get("error"):
            raise fault_of(Refusal.read(told), vendor=_VENDOR)
        raise malformed(_VENDOR, "an answer without choices")
    return Answer(tuple(_choice(each) for each in choices), usage_of(told.get("usage")), told)


def _choice(told: Any) -> Choice:
    message = told.get("message") if isinstance(told, Mapping) else None
    if not isinstance(message, Mapping):
        raise malformed(_VENDOR, "a choice without a message")
    given = message.get("tool_calls")
    calls = tuple(_calls(given if isinstance(given, list) else []))
    refusal = message.get("refusal")
    return Choice(
        _text(message.get("content")),
        calls,
        _finish(told.get("finish_reason")) or ("tool_calls" if calls else "stop"),
        refusal if isinstance(refusal, str) else None,
        told.get("logprobs"),
    )


def _calls(given: list[Any]) -> Iterator[ToolCall]:
    for index, call in enumerate(given):
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise malformed(_VENDOR, "a tool call without a function")
        yield ToolCall(str(call.get("id") or f"call_{index}"), function["name"], str(function.get("arguments") or "{}"))


def _text(content: Any) -> str | None:
    """Some servers answer in parts, as they are asked."""
    if isinstance(content, list):
        texts = [each.get("text") for each in content if isinstance(each, Mapping) and each.get("type") == "text"]
        return "".join(each for each in texts if isinstance(each, str))
    return content if isinstance(content, str) else None


def _finish(reason: Any) -> str | None:
    """In OpenAI's words. Raises SERVER where the reason is an error of the vendor's."""
    if not reason:  # some servers send an empty one with every piece
        return None
    if reason == "error":
        raise ProviderFault(Fault.SERVER, f"{_VENDOR} ended the answer with an error", charged=True)
    if reason == "function_call":
        return "tool_calls"
    return reason if isinstance(reason, str) and reason in _FINISHES else "stop"


def usage_of(told: Any) -> Usage | None:
    """None unless both counts are there. What the total has beyond them was thought, and is paid as output."""
    if not isinstance(told, Mapping):
        return None
    spoken, answered, total = (_count(told.get(key)) for key in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if spoken is None or answered is None:
        return None
    read, wrote = told.get("prompt_tokens_details"), told.get("completion_tokens_details")
    read, wrote = (each if isinstance(each, Mapping) else {} for each in (read, wrote))
    answered = max(answered, (total or 0) - spoken)
    cached = min(_count(read.get("cached_tokens")) or 0, spoken)
    return Usage(
        input=spoken,
        output=answered,
        cached=cached,
        cache_written=min(_count(read.get("cache_write_tokens")) or 0, spoken - cached),
        reasoning=min(_count(wrote.get("reasoning_tokens")) or 0, answered),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


async def _whole(told: Mapping[str, Any]) -> AsyncGenerator[Delta | Usage]:
    """A server that does not stream has answered in one piece."""
    answer = _answer(told)
    for index, choice in enumerate(answer.choices):
        if choice.content or choice.refusal or choice.logprobs:
            yield Delta(text=choice.content or "", refusal=choice.refusal or "", choice=index, logprobs=choice.logprobs)
        for number, call in enumerate(choice.tool_calls):
            yield Delta(
                tool_index=number, tool_id=call.id, tool_name=call.name, tool_arguments=call.arguments, choice=index
            )
        yield Delta(finish_reason=choice.finish_reason, choice=index)
    if answer.usage is not None:
        yield answer.usage


async def _streamed(asked: Asked, answers: int) -> AsyncGenerator[Delta | Usage]:
    usage: Usage | None = None
    open_: set[int] = set()  # answers that have begun, and have not ended
    ended: set[int] = set()
    tools = _Tools()
    try:
        async for event in asked.events():
            if event.data == "[DONE]":
                break
            chunk = parsed(_VENDOR, event.data)
            if chunk.get("error"):
                raise fault_of(Refusal.read(chunk), vendor=_VENDOR, charged=True)
            usage = usage_of(chunk.get("usage")) or usage
            for choice in choices_of(chunk):
                asked.started = asked.started or _thinks(choice)
                for delta in _deltas(choice, tools):
                    asked.started = True
                    if delta.finish_reason is None:
                        open_.add(delta.choice)
                    elif delta.choice in ended:
                        continue
                    else:
                        open_.discard(delta.choice)
                        ended.add(delta.choice)
                    yield delta
        else:
            if open_ or len(ended) < answers:
                raise broken_off(_VENDOR)
    except ProviderFault as fault:
        if open_ or len(ended) < answers or fault.fault != Fault.NETWORK:
            raise  # else all was said, only the end was not
    if not open_ and not ended:
        raise broken_off(_VENDOR)
    for choice in sorted(open_):  # [DONE] ends what nothing else did
        yield Delta(finish_reason="tool_calls" if tools.of(choice) else "stop", choice=choice)
    if usage is not None:
        yield usage
    await asked.farewell()


def choices_of(chunk: Mapping[str, Any]) -> list[Any]:
    return sequence(chunk.get("choices"))


class _Tools:
    """Which tool call a piece belongs to: servers leave out the index, or say the name with every piece."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], str] = {}  # choice and index → id
        self._last: dict[int, int] = {}  # choice → index

    def place(self, choice: int, call: Mapping[str, Any]) -> tuple[int, bool]:
        """Its index, and whether it is the call's first piece."""
        index, id_ = call.get("index"), call.get("id")
        if not isinstance(index, int):
            last = self._last.get(choice, -1)
            new = last < 0 or (isinstance(id_, str) and id_ != "" and self._seen.get((choice, last)) != id_)
            index = last + 1 if new else last
        first = (choice, index) not in self._seen
        if first:
            self._seen[choice, index] = id_ if isinstance(id_, str) and id_ else f"call_{choice}_{index}"
        self._last[choice] = index
        return index, first

    def of(self, choice: int) -> bool:
        """Whether this answer calls any."""
        return choice in self._last

    def id_of(self, choice: int, index: int) -> str:
        return self._seen[choice, index]


def _deltas(told: Any, tools: _Tools) -> Iterator[Delta]:
    if not isinstance(told, Mapping):
        raise malformed(_VENDOR, "a choice that is not an object")
    number = told.get("index")
    choice = number if isinstance(number, int) else 0
    delta = told.get("delta")
    delta = delta if isinstance(delta, Mapping) else {}
    text, refusal, logprobs = _text(delta.get("content")) or "", delta.get("refusal"), told.get("logprobs")
    refusal = refusal if isinstance(refusal, str) else ""
    if text or refusal or logprobs:
        yield Delta(text=text, refusal=refusal, choice=choice, logprobs=logprobs)
    for call in sequence(delta.get("tool_calls")):
        if isinstance(call, Mapping):
            yield _tool_delta(choice, call, tools)
    reason = _finish(told.get("finish_reason"))
    if reason is not None:
        yield Delta(finish_reason=reason, choice=choice)


def _thinks(told: Any) -> bool:
    """A sign of life, no part of the answer."""
    delta = told.get("delta") if isinstance(told, Mapping) else None
    return isinstance(delta, Mapping) and bool(delta.get("reasoning_content") or delta.get("reasoning"))


def _tool_delta(choice: int, call: Mapping[str, Any], tools: _Tools) -> Delta:
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    index, first = tools.place(choice, call)
    arguments = function.get("arguments")
    return Delta(
        tool_index=index,
        tool_id=tools.id_of(choice, index) if first else None,
        tool_name=str(function.get("name") or "") if first else None,
        tool_arguments=arguments if isinstance(arguments, str) else "",
        choice=choice,
    )
