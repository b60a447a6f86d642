"""What a caller asks, in OpenAI's whole vocabulary: accepted, checked, or knowingly ignored."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quintet.gateway.model import Ask, Message
from quintet.personas.chat.fields import (
    boolean,
    mapping,
    number,
    one_of,
    optional,
    refuse,
    sequence,
    text,
    whole,
)
from quintet.personas.chat.messages import messages_of
from quintet.personas.chat.tools import choice_of, tools_of

_MOST_TOKENS = 10_000_000
# What changes an answer and only some models can do; each with the values that ask for nothing special.
_SPECIAL: Mapping[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": (),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`functions` says that the caller speaks the deprecated form and expects it back.

    `more` is what came beside OpenAI's fields: VAPI and ElevenLabs tell of their calls there.
    """

    model: str
    ask: Ask
    stream: bool = False
    include_usage: bool = False
    functions: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self.ask.messages)

    @property
    def several(self) -> bool:
        return bool(self.ask.extra.get("n", 1) > 1)

    def streamed(self) -> "ChatRequest":
        return replace(self, stream=True)


def chat_request(body: Any) -> ChatRequest:
    """Raises Failure(INVALID) that names the field."""
    told = mapping(body, "body")
    if "messages" not in told:
        refuse("messages", "Field required")
    messages = messages_of(told["messages"])
    tools = tools_of(told)
    stream = bool(optional(told, "stream", boolean))
    return ChatRequest(
        model=(optional(told, "model", text) or "").strip(),
        ask=Ask(
            messages=messages,
            tools=tools,
            tool_choice=choice_of(told, tools),
            response_format=_format(told),
            max_tokens=_tokens(told),
            temperature=optional(told, "temperature", number(0, 2)),
            top_p=optional(told, "top_p", number(0, 1)),
            stop=_stop(told.get("stop")),
            seed=optional(told, "seed", whole(-(2**63), 2**63 - 1)),
            extra=_extra(told),
        ),
        stream=stream,
        include_usage=_include_usage(told, stream),
        functions=bool(told.get("functions")) and not told.get("tools"),
        more={name: told[name] for name in _FOREIGN if told.get(name) is not None},
    )


_FOREIGN = ("call", "customer", "phoneNumber", "metadata", "elevenlabs_extra_body", "user_id", "user")


def _tokens(told: Mapping[str, Any]) -> int | None:
    read = whole(1, _MOST_TOKENS)
    newer, older = optional(told, "max_completion_tokens", read), optional(told, "max_tokens", read)
    return older if newer is None else newer


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    return tuple(text(each, f"stop.{place}") for place, each in enumerate(sequence(value, "stop", most=4)))


def _format(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """None for text: that is what comes anyway."""
    wanted = optional(told, "response_format", mapping)
    if wanted is None:
        return None
    kind = one_of("text", "json_object", "json_schema")(wanted.get("type"), "response_format.type")
    if kind == "json_schema":
        described = mapping(wanted.get("json_schema"), "response_format.json_schema")
        text(described.get("name"), "response_format.json_schema.name")
        if described.get("schema") is not None:
            mapping(described["schema"], "response_format.json_schema.schema")
    return None if kind == "text" else wanted


def _include_usage(told: Mapping[str, Any], stream: bool) -> bool:
    options = optional(told, "stream_options", mapping)
    if options is None:
        return False
    if not stream:
        refuse("stream_options", "is only allowed when stream is true")
    for name in ("include_usage", "include_obfuscation"):
        if options.get(name) is not None:
            boolean(options[name], f"stream_options.{name}")
    return bool(options.get("include_usage"))


def _extra(told: Mapping[str, Any]) -> dict[str, Any]:
    penalty = number(-2, 2)
    optional(told, "frequency_penalty", penalty)
    optional(told, "presence_penalty", penalty)
    optional(told, "n", whole(1, 128))
    optional(told, "logprobs", boolean)
    optional(told, "parallel_tool_calls", boolean)
    optional(told, "logit_bias", mapping)
    optional(told, "reasoning_effort", one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"))
    optional(told, "verbosity", one_of("low", "medium", "high"))
    _check_metadata(told.get("metadata"))
    if optional(told, "top_logprobs", whole(0, 20)) and not told.get("logprobs"):
        refuse("top_logprobs", "is only allowed when logprobs is true")
    for place, each in enumerate(optional(told, "modalities", sequence) or ()):
        one_of("text", "audio")(each, f"modalities.{place}")
    return {
        name: told[name]
        for name, usual in _SPECIAL.items()
        if told.get(name) is not None and not any(told[name] == value for value in usual)
    }


def _check_metadata(value: Any) -> None:
    """OpenAI's has at most 16 pairs of texts; VAPI sends an object of any shape in the same place, and may."""
    if value is not None:
        mapping(value, "metadata")
