"""The tools of a request and the choice among them, the deprecated functions included."""

import re
from collections.abc import Mapping
from typing import Any

from quintet.personas.chat.fields import mapping, refuse, sequence, text

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_MOST = 128


def tools_of(body: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    if body.get("tools"):
        tools = sequence(body["tools"], "tools", most=_MOST)
        return tuple(_tool(mapping(each, f"tools.{place}"), f"tools.{place}") for place, each in enumerate(tools))
    functions = sequence(body.get("functions") or [], "functions", most=_MOST)
    return tuple(
        {"type": "function", "function": _named(mapping(each, f"functions.{place}"), f"functions.{place}")}
        for place, each in enumerate(functions)
    )


def choice_of(body: Mapping[str, Any], tools: tuple[dict[str, Any], ...]) -> Any:
    """As OpenAI spells it. Raises Failure for a choice that no tool fits."""
    choice = body.get("tool_choice")
    if choice is None and body.get("function_call") is not None:
        choice = _modern(body["function_call"])
    if choice is None:
        return None
    if not tools and choice not in ("none", "auto"):
        refuse("tool_choice", "is only allowed when tools are given")
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            refuse("tool_choice", "must be none, auto, required, or name a tool")
        return choice
    told = mapping(choice, "tool_choice")
    kind = told.get("type")
    if kind == "allowed_tools":
        mapping(told.get("allowed_tools"), "tool_choice.allowed_tools")
    elif kind in ("function", "custom"):
        name = mapping(told.get(kind), f"tool_choice.{kind}").get("name")
        if name not in {name_of(tool) for tool in tools}:
            refuse(f"tool_choice.{kind}.name", "is not the name of one of the tools")
    else:
        refuse("tool_choice.type", "must be one of: function, custom, allowed_tools")
    return dict(told)


def name_of(tool: Mapping[str, Any]) -> str:
    content = tool.get(str(tool.get("type", "function")))
    return str(content.get("name", "")) if isinstance(content, Mapping) else ""


def _tool(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = told.get("type", "function")
    if kind not in ("function", "custom"):
        refuse(f"{where}.type", "must be one of: function, custom")
    return {"type": kind, kind: _named(mapping(told.get(kind), f"{where}.{kind}"), f"{where}.{kind}")}


def _named(told: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not _NAME.fullmatch(text(told.get("name"), f"{where}.name")):
        refuse(f"{where}.name", "must be 1 to 128 letters, digits, underscores or dashes")
    if told.get("parameters") is not None:
        mapping(told["parameters"], f"{where}.parameters")
    return dict(told)


def _modern(choice: Any) -> Any:
    return {"type": "function", "function": dict(choice)} if isinstance(choice, dict) else choice
