"""The toolbox: which tools there are, and their use. What a model writes is checked; what fails is told to it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quintet.errors import Failure
from quintet.personas.doing import Doing, Line

_LONGEST = 6_000  # characters of a result that a model is told
_NAMED = 64  # characters of a name that nobody has
_SECONDS = 30.0

log = logging.getLogger("quintet.personas")

Use = Callable[[Mapping[str, Any], Doing], Awaitable[str]]


class Misused(ValueError):  # noqa: N818 - what the model did
    """Tells the model what to do instead."""


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` are those of a JSON schema's object; all but `optional` ones are needed.

    `permission` is one that the caller must have.
    """

    name: str
    description: str
    use: Use
    parameters: Mapping[str, Mapping[str, Any]]
    optional: frozenset[str] = frozenset()
    permission: str = ""

    def open_to(self, line: Line) -> bool:
        return not self.permission or self.permission in line.permissions

    def offered(self) -> dict[str, Any]:
        required = [name for name in self.parameters if name not in self.optional]
        schema = {
            "type": "object",
            "properties": dict(self.parameters),
            "required": required,
            "additionalProperties": False,
        }
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": schema},
        }


class Toolbox:
    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def offered(self, line: Line) -> Sequence[Mapping[str, Any]]:
        return [tool.offered() for tool in self._tools.values() if tool.open_to(line)]

    async def use(self, name: str, arguments: str, doing: Doing) -> str:
        tool = self._tools.get(name)
        if tool is None or not tool.open_to(doing.line):
            return f"There is no tool {name[:_NAMED]}."
        try:
            given = _read(arguments, tool)
            async with asyncio.timeout(_SECONDS):
                return (await tool.use(given, doing))[:_LONGEST]
        except Misused as error:
            return f"Not done: {error}"
        except TimeoutError:
            return "Not done: it took too long."
        except Failure as failure:
            return f"Not done: {failure.told}"
        except Exception:
            log.exception("a persona's tool failed", extra={"tool": name})
            return "Not done: the tool failed."


def _read(arguments: str, tool: Tool) -> Mapping[str, Any]:
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        raise Misused("the arguments are not valid JSON") from None
    if not isinstance(given, dict):
        raise Misused("the arguments must be a JSON object")
    for name in tool.parameters:
        if name not in given and name not in tool.optional:
            raise Misused(f"{name} is missing")
    return {name: value for name, value in given.items() if name in tool.parameters and value is not None}


def text(given: Mapping[str, Any], name: str, longest: int) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Misused(f"{name} must be a text")
    if len(value) > longest:
        raise Misused(f"{name} is longer than {longest} characters")
    return value.strip()
