"""The messages of a request: every role and kind of content that OpenAI's clients send."""

from collections.abc import Mapping
from typing import Any

from quintet.gateway.model import Message
from quintet.personas.chat.fields import mapping, one_of, optional, refuse, sequence, short, text

MOST_MESSAGES = 2048
_NAME = short(256)
_ID = short(4096)  # some vendors put more than a name into an id
_ROLES = one_of("developer", "system", "user", "assistant", "tool", "function")
_USER_PARTS = frozenset({"text", "image_url", "input_audio", "file"})
_PARTS: Mapping[str, frozenset[str]] = {
    "user": _USER_PARTS,
    "assistant": frozenset({"text", "refusal"}),
    **dict.fromkeys(("developer", "system", "tool", "function"), frozenset({"text"})),
}


def messages_of(value: Any) -> list[Message]:
    """Raises Failure that names the first message that is wrong. The deprecated forms become today's."""
    told = sequence(value, "messages", most=MOST_MESSAGES)
    if not told:
        refuse("messages", "must not be empty")
    return [_message(mapping(each, f"messages.{place}"), place) for place, each in enumerate(told)]


def _message(told: Mapping[str, Any], place: int) -> Message:
    where = f"messages.{place}"
    if told.get("role") is None:
        refuse(f"{where}.role", "Field required")
    role = _ROLES(told["role"], f"{where}.role")
    message: dict[str, Any] = {"role": role, "content": _content(told.get("content"), role, f"{where}.content")}
    name = told.get("name")
    if name is not None:
        message["name"] = _NAME(name, f"{where}.name")
    if role == "assistant":
        message.update(_calls(told, where))
        if message["content"] is None and not message.get("tool_calls"):
            message["content"] = _refusal(told, where)
    elif role == "function":
        message.update({"role": "tool", "tool_call_id": legacy_id(str(message.pop("name", "")))})
    elif role == "tool":
        if not told.get("tool_call_id"):
            refuse(f"{where}.tool_call_id", "Field required")
        message["tool_call_id"] = _ID(told["tool_call_id"], f"{where}.tool_call_id")
    if message["content"] is None and role not in ("assistant", "tool"):
        refuse(f"{where}.content", "Field required")
    if message["content"] is None and role == "tool":
        message["content"] = ""
    return message


def _content(value: Any, role: str, where: str) -> str | list[dict[str, Any]] | None:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        refuse(where, "must be a string or an array of parts")
    return [_part(mapping(each, f"{where}.{place}"), role, f"{where}.{place}") for place, each in enumerate(value)]


def _part(told: Mapping[str, Any], role: str, where: str) -> dict[str, Any]:
    kind = told.get("type")
    if not isinstance(kind, str) or kind not in _PARTS[role]:
        refuse(f"{where}.type", f"must be one of: {', '.join(sorted(_PARTS[role]))}")
    if kind in ("text", "refusal"):
        return {"type": kind, kind: text(told.get(kind), f"{where}.{kind}")}
    if kind == "image_url":
        return {"type": kind, kind: _image(told.get("image_url"), f"{where}.image_url")}
    content = mapping(told.get(str(kind)), f"{where}.{kind}")
    if kind == "input_audio":
        text(content.get("data"), f"{where}.input_audio.data")
        one_of("wav", "mp3")(content.get("format"), f"{where}.input_audio.format")
    elif not (content.get("file_id") or content.get("file_data")):
        refuse(f"{where}.file", "needs file_id or file_data")
    return {"type": kind, str(kind): dict(content)}


def _image(told: Any, where: str) -> dict[str, Any]:
    image = mapping({"url": told} if isinstance(told, str) else told, where)
    url = text(image.get("url"), f"{where}.url")
    if not url.startswith(("https://", "http://", "data:image/")):
        refuse(f"{where}.url", "must be an http(s) URL or a data URL of an image")
    detail = optional(image, "detail", one_of("auto", "low", "high", "original"))
    return {"url": url} if detail is None else {"url": url, "detail": detail}


def _calls(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    if told.get("tool_calls"):
        calls = sequence(told["tool_calls"], f"{where}.tool_calls", most=128)
        return {
            "tool_calls": [
                _call(mapping(each, f"{where}.tool_calls.{index}"), f"{where}.tool_calls.{index}")
                for index, each in enumerate(calls)
            ]
        }
    if told.get("function_call"):
        function = mapping(told["function_call"], f"{where}.function_call")
        name = _NAME(function.get("name"), f"{where}.function_call.name")
        arguments = text(function.get("arguments", ""), f"{where}.function_call.arguments")
        return {
            "tool_calls": [
                {"id": legacy_id(name), "type": "function", "function": {"name": name, "arguments": arguments}}
            ]
        }
    return {}


def _call(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = told.get("type", "function")
    if kind not in ("function", "custom"):
        refuse(f"{where}.type", "must be one of: function, custom")
    content = dict(mapping(told.get(kind), f"{where}.{kind}"))
    _NAME(content.get("name"), f"{where}.{kind}.name")
    if kind == "function":
        content["arguments"] = text(content.get("arguments", ""), f"{where}.function.arguments")
    return {"id": _ID(told.get("id"), f"{where}.id"), "type": kind, kind: content}


def _refusal(told: Mapping[str, Any], where: str) -> str:
    refusal = told.get("refusal")
    return "" if refusal is None else text(refusal, f"{where}.refusal")


def legacy_id(name: str) -> str:
    """The deprecated form has no ids: one call of a name at a time."""
    return f"call_{name}"
