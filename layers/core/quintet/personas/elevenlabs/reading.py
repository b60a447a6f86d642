"""What a client says at the beginning, and the history that the Speech Engine repeats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quintet.errors import Failure
from quintet.gateway.model import Message
from quintet.personas.callers import name_of
from quintet.personas.chat.tools import tools_of

_PROMPT = 8_000  # characters
_VARIABLES = 20
_VALUE = 200


@dataclass(frozen=True, slots=True)
class Beginning:
    """`told` are instructions: the client's own prompt, its language, what it knows of the user."""

    text_only: bool
    greeting: str
    told: str
    user: str
    tools: tuple[dict[str, Any], ...] = ()


def beginning_of(message: Mapping[str, Any]) -> Beginning:
    override = _mapping(message.get("conversation_config_override"))
    agent, conversation = _mapping(override.get("agent")), _mapping(override.get("conversation"))
    lines = [_text(_mapping(agent.get("prompt")).get("prompt"), _PROMPT)]
    language = _text(agent.get("language"), 35)
    if language:
        lines.append(f"Answer in the language '{language}'.")
    variables = _mapping(message.get("dynamic_variables"))
    known = [f"{name}: {value}" for name, value in list(variables.items())[:_VARIABLES] if _plain(value)]
    if known:
        lines.append("About the user:\n" + "\n".join(line[:_VALUE] for line in known))
    return Beginning(
        text_only=conversation.get("text_only") is True or message.get("text_only") is True,
        greeting=_text(agent.get("first_message"), _PROMPT),
        told="\n\n".join(line for line in lines if line),
        user=name_of(message.get("user_id")),
        tools=_tools(_mapping(message.get("custom_llm_extra_body"))),
    )


def transcript_of(message: Mapping[str, Any]) -> list[Message]:
    """Of a `user_transcript`."""
    told = message.get("user_transcript")
    turns = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    return [
        {"role": "assistant" if each.get("role") == "agent" else "user", "content": each["content"]}
        for each in turns
        if isinstance(each.get("content"), str) and each["content"]
    ]


def words_of(message: Mapping[str, Any]) -> str:
    """Of a `user_message` or a `multimodal_message`."""
    text = message.get("text")
    return _text(text.get("text") if isinstance(text, dict) else text, 100_000)


def latest(texts: Sequence[str], most: int) -> list[str]:
    """The last ones that fit into so many bytes, one at least."""
    kept: list[str] = []
    for each in reversed(texts):
        most -= len(each.encode())
        if most < 0 and kept:
            break
        kept.insert(0, each)
    return kept


def number_of(value: Any) -> int:
    return value if type(value) is int else 0


def _tools(extra: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Functions of the client's own, in OpenAI's shape. What is none is no reason not to talk."""
    try:
        return tools_of({"tools": extra.get("tools")})
    except Failure:
        return ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any, longest: int) -> str:
    return value.strip()[:longest] if isinstance(value, str) else ""


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float)
