"""What is in a message, whichever of OpenAI's forms it has."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from quintet.gateway.model import Ask, Message
from quintet.gateway.providers.model import Fault, ProviderFault

INSTRUCTING = ("system", "developer")


def parts(message: Message) -> Iterator[Mapping[str, Any]]:
    """Its content as parts; a plain text is one of them."""
    content = message.get("content")
    if isinstance(content, str):
        if content:
            yield {"type": "text", "text": content}
    elif isinstance(content, list | tuple):
        for part in content:
            yield {"type": "text", "text": part} if isinstance(part, str) else part


def text_of(message: Message) -> str:
    """Its text parts, with line breaks between them."""
    return "\n".join(str(part.get("text") or "") for part in parts(message) if part.get("type") == "text")


def function_tools(ask: Ask) -> list[Mapping[str, Any]]:
    """The functions of its tools. Raises UNSUPPORTED for tools of another kind."""
    functions = []
    for tool in ask.tools:
        function = tool.get("function")
        if tool.get("type", "function") != "function" or not isinstance(function, Mapping):
            raise unsupported("tools", "only tools of type function are supported")
        functions.append(function)
    return functions


def schema_of(ask: Ask) -> Mapping[str, Any] | None:
    """The JSON schema that the answer has to fit, if there is one."""
    wanted = ask.response_format or {}
    if wanted.get("type") != "json_schema":
        return None
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    return schema if isinstance(schema, Mapping) else {}


def wants_json(ask: Ask) -> bool:
    return (ask.response_format or {}).get("type") == "json_object"


def arguments_of(call: Mapping[str, Any]) -> Any:
    """A tool call's arguments as a value: vendors beside OpenAI want them so. What is no JSON object becomes one."""
    text = (call.get("function") or {}).get("arguments") or "{}"
    try:
        value = json.loads(text)
    except ValueError:
        return {"arguments": text}
    return value if isinstance(value, dict) else {"arguments": value}


def unsupported(field: str, message: str) -> ProviderFault:
    return ProviderFault(Fault.UNSUPPORTED, message, field=field)


_ONLY_OPENAI = ("audio", "logit_bias", "web_search_options", "functions", "function_call")


def refuse_what_only_openai_does(ask: Ask, vendor: str, *, several: bool = False) -> None:
    """What would change the answer and cannot be had is refused; what only shades it is left out silently."""
    extra = ask.extra
    if (extra.get("n") or 1) != 1 and not several:
        raise unsupported("n", f"{vendor} gives one answer at a time: n must be 1")
    if extra.get("logprobs") or extra.get("top_logprobs"):
        raise unsupported("logprobs", f"{vendor} tells no log probabilities")
    if any(each != "text" for each in extra.get("modalities") or ()):
        raise unsupported("modalities", f"{vendor} answers with text alone")
    for name in _ONLY_OPENAI:
        if extra.get(name):
            raise unsupported(name, f"{vendor} does not know {name}")
