"""What is in a message, whichever of OpenAI's forms it has."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from quintet.gateway.model import Ask, Message
from quintet.gateway.providers.model import Fault, ProviderFault

INSTRUCTING = ("system", "developer")


def mapping(value: Any) -> Mapping[str, Any]:
    """What is no object counts as an empty one: callers and vendors send anything."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def parts(message: Message) -> Iterator[Mapping[str, Any]]:
    """Its content as parts; a plain text is one of them."""
    content = message.get("content")
    if isinstance(content, str):
        if content:
            yield {"type": "text", "text": content}
    elif isinstance(content, list | tuple):
        for part in content:
            yield {"type": "text", "text": part} if isinstance(part, str) else mapping(part)


def text_of(message: Message) -> str:
    """Its text parts, with line breaks between them."""
    return "\n".join(str(part.get("text") or "") for part in parts(message) if part.get("type") == "text")


def function_tools(ask: Ask) -> list[Mapping[str, Any]]:
    """The functions of its tools. Raises UNSUPPORTED for tools of another kind."""
    functions = []
    for tool in map(mapping, ask.tools):
        function = tool.get("function")
        named = isinstance(function, Mapping) and isinstance(function.get("name"), str) and function["name"]
        if tool.get("type", "function") != "function" or not named:
            raise unsupported("tools", "only tools of type function, each with a name, are supported")
        functions.append(mapping(function))
    return functions


def offered(ask: Ask) -> tuple[list[Mapping[str, Any]], str | None]:
    """The functions that may be called, and which must be: None leaves it open, `*` is any."""
    functions, choice = function_tools(ask), ask.tool_choice
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = mapping(choice.get("allowed_tools"))
        named = [mapping(mapping(each).get("function")).get("name") for each in sequence(allowed.get("tools"))]
        functions = [each for each in functions if each["name"] in named]
        choice = allowed.get("mode")
    if choice == "none" or not functions:
        return [], None
    if isinstance(choice, Mapping):
        return functions, str(mapping(choice.get("function")).get("name"))
    return functions, "*" if choice == "required" else None


def parameters_of(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """Vendors want a schema of type object, also where there are no parameters."""
    given = mapping(function.get("parameters"))
    return given or {"type": "object", "properties": {}}


def schema_of(ask: Ask) -> Mapping[str, Any] | None:
    """The JSON schema that the answer has to fit, if there is one."""
    wanted = mapping(ask.response_format)
    if wanted.get("type") != "json_schema":
        return None
    return mapping(mapping(wanted.get("json_schema")).get("schema"))


def wants_json(ask: Ask) -> bool:
    return mapping(ask.response_format).get("type") == "json_object"


def arguments_of(call: Mapping[str, Any]) -> Any:
    """A tool call's arguments as a value: vendors beside OpenAI want them so. What is no JSON object becomes one."""
    text = mapping(call.get("function")).get("arguments") or "{}"
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
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
    if any(each != "text" for each in sequence(extra.get("modalities"))):
        raise unsupported("modalities", f"{vendor} answers with text alone")
    for name in _ONLY_OPENAI:
        if extra.get(name):
            raise unsupported(name, f"{vendor} does not know {name}")
