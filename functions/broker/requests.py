"""What a caller asks of /v1/chat, read by hand: its messages are a contract, and so is the speed of its path."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request

from quintet.errors import Failure, Kind
from quintet.gateway.directives import MOST_MS, MOST_USD, MOST_WEIGHT, directed
from quintet.gateway.model import NANO, Ask, Message, Terms

BAD_JSON = "bad json"
MESSAGES_REQUIRED = "messages required"

# OpenAI's parameters that an Ask has a place for; the others go into its `extra`.
_KNOWN = {
    "tools": list,
    "tool_choice": (str, dict),
    "response_format": dict,
    "temperature": (int, float),
    "top_p": (int, float),
    "seed": int,
}
_EXTRA = (
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "metadata",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "top_logprobs",
    "user",
)
_ROLES = frozenset({"assistant", "developer", "function", "system", "tool", "user"})
_MOST_ANSWERS = 8
_MOST_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True)
class Chat:
    ask: Ask
    terms: Terms
    stream: bool


async def body_of(request: Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Failure(Kind.MALFORMED, BAD_JSON) from None
    if not isinstance(body, dict):
        raise Failure(Kind.MALFORMED, BAD_JSON)
    return body


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def chat_of(body: Mapping[str, Any]) -> Chat:
    asked = _object(body, "request")
    messages = messages_of(asked)
    messages, terms = directed(messages, terms_of(body, asked))
    return Chat(ask_of(asked, messages), terms, _stream(body, asked))


def messages_of(asked: Mapping[str, Any]) -> Sequence[Message]:
    messages = asked.get("messages")
    if messages is None or messages == []:
        raise Failure(Kind.REJECTED, MESSAGES_REQUIRED, details={"field": "request.messages"})
    if not isinstance(messages, list):
        raise _wrong("request.messages", "must be a list of messages")
    for index, message in enumerate(messages):
        _check_message(message, f"request.messages[{index}]")
    return messages


def terms_of(body: Mapping[str, Any], asked: Mapping[str, Any]) -> Terms:
    policy = _object(body, "policy")
    mode = policy.get("mode")
    if mode is not None and not isinstance(mode, str):
        raise _wrong("policy.mode", "must be text")
    budget = number_of(policy, "max_budget_usd", MOST_USD)
    latency = number_of(policy, "max_latency_ms", MOST_MS)
    tokens = asked.get("estimated_input_tokens")
    if tokens is not None and (not _is_integer(tokens) or not 0 <= tokens <= _MOST_TOKENS):
        raise _wrong("request.estimated_input_tokens", "must be a whole number of tokens")
    model = _text(asked, "model")
    return Terms(
        mode=mode or None,
        max_budget=round(budget * NANO) if budget else None,  # 0 takes the default, as it does for the latency
        max_latency_ms=int(latency) or None if latency else None,
        min_weight=number_of(policy, "min_weight", MOST_WEIGHT),
        capabilities=_capabilities(body),
        estimated_input_tokens=tokens or None,
        model=None if model in (None, "", "auto") else model,
        hint=_text(asked, "model_hint") or None,
    )


def number_of(given: Mapping[str, Any], name: str, most: int) -> float | None:
    """Raises Failure for what is no number from 0 to `most`."""
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(name, f"{name} must be a number between 0 and {most}")
    if not 0 <= value <= most:
        raise _refused(name, f"{name} must be between 0 and {most}")
    return value


def ask_of(asked: Mapping[str, Any], messages: Sequence[Message]) -> Ask:
    given = {**_object(asked, "parameters"), **asked}
    for name, kind in _KNOWN.items():
        value = given.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):  # type: ignore[arg-type]
            raise _wrong(f"request.{name}", "has the wrong type")
    most = given.get("max_completion_tokens", given.get("max_tokens"))
    if most is not None and (not _is_integer(most) or most < 1):
        raise _wrong("request.max_tokens", "must be a whole number above 0")
    answers = given.get("n")
    if answers is not None and (not _is_integer(answers) or not 1 <= answers <= _MOST_ANSWERS):
        raise _wrong("request.n", f"must be a whole number from 1 to {_MOST_ANSWERS}")
    return Ask(
        messages=messages,
        tools=tuple(_tools(given)),
        tool_choice=given.get("tool_choice"),
        response_format=_format(given),
        max_tokens=most,
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        stop=_stop(given),
        seed=given.get("seed"),
        extra={name: given[name] for name in _EXTRA if given.get(name) is not None},
    )


def _tools(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tools = given.get("tools") or []
    if not all(isinstance(tool, dict) for tool in tools):
        raise _wrong("request.tools", "must be a list of objects")
    return list(tools)


def _format(given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    schema = given.get("output_schema")
    if given.get("response_format") is not None or schema is None:
        wanted: Mapping[str, Any] | None = given.get("response_format")
        return wanted
    if not isinstance(schema, dict):
        raise _wrong("request.output_schema", "must be a JSON schema")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _stop(given: Mapping[str, Any]) -> tuple[str, ...]:
    stop = given.get("stop")
    words = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _wrong("request.stop", "must be text, or a list of texts")
    return tuple(words)


def _capabilities(body: Mapping[str, Any]) -> frozenset[str]:
    given = _object(body, "capabilities")
    for name, value in given.items():
        if not isinstance(value, bool) and value is not None:
            raise _wrong(f"capabilities.{name}", "must be true or false")
    return frozenset(name for name, value in given.items() if value)


def _check_message(message: Any, place: str) -> None:
    if not isinstance(message, dict):
        raise _wrong(place, "must be an object with a role and a content")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        raise _wrong(f"{place}.role", f"must be one of: {', '.join(sorted(_ROLES))}")
    if content is None and role == "assistant":
        return
    if isinstance(content, str) or (isinstance(content, list) and all(map(_is_part, content))):
        return
    raise _wrong(f"{place}.content", "must be text, or a list of parts that each have a type")


def _is_part(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("type"), str))


def _stream(body: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    wanted = body.get("stream", asked.get("stream"))
    if wanted is not None and not isinstance(wanted, bool):
        raise _wrong("stream", "must be true or false")
    return bool(wanted)


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, "must be an object")
    return value


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong(f"request.{name}", "must be text")
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(field: str, issue: str) -> Failure:
    return Failure(Kind.INVALID, f"{field} {issue}", details={"field": field})


def _refused(field: str, message: str) -> Failure:
    return Failure(Kind.REJECTED, message, details={"field": f"policy.{field}"})
