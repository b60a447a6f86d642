"""What VAPI tells, in today's envelope and in the flat form of tron.md."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quintet.errors import Failure, Kind, invalid
from quintet.personas.callers import call_in, name_of, phone_in

# The names that tron.md uses, and what they are today.
_TODAY: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "call.started": ("status-update", {"status": "in-progress"}),
    "call.ended": ("status-update", {"status": "ended"}),
    "speech.recognized": ("transcript", {"role": "user", "transcriptType": "final"}),
    "assistant.message": ("model-output", {}),
}
_MOST_CALLS = 64
_LONGEST_TRANSCRIPT = 60_000  # characters, from the end: what was agreed comes last


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class VapiEvent:
    """`message` is the event's own fields, `call_id` and `phone` are empty where nobody told."""

    type: str
    call_id: str
    phone: str
    message: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.type == "status-update" and self.message.get("status") == "ended"

    @property
    def called(self) -> str:
        """What the number that was called is named."""
        number = self.message.get("phoneNumber")
        name = number.get("name") if isinstance(number, dict) else None
        return name if isinstance(name, str) else ""


def event_of(body: Mapping[str, Any]) -> VapiEvent:
    """Raises Failure for what has no type. A flat event may have a text called `message`."""
    told = body.get("message")
    message = told if isinstance(told, dict) else body
    kind = message.get("type")
    if not isinstance(kind, str) or not kind:
        raise Failure(Kind.INVALID, "type: Field required", details={"field": "type"})
    today, more = _TODAY.get(kind, (kind, {}))
    return VapiEvent(today, call_in(message), phone_in(message), {**message, **more})


def tool_calls_of(event: VapiEvent) -> list[ToolCall]:
    """In the form of VAPI's types and in that of its documentation. Raises Failure."""
    told = event.message.get("toolCallList")
    if told is None:
        several = event.message.get("toolWithToolCallList") or event.message.get("toolCalls") or []
        told = [each.get("toolCall", each) for each in several if isinstance(each, dict)] if _is_list(several) else None
    if not _is_list(told):
        raise Failure(Kind.INVALID, "toolCallList: must be an array", details={"field": "toolCallList"})
    if told is not None and len(told) > _MOST_CALLS:
        issue = f"may have at most {_MOST_CALLS} items"
        raise invalid("toolCallList", issue)
    return [_tool_call(each, place) for place, each in enumerate(told or ())]


def legacy_call_of(event: VapiEvent) -> ToolCall:
    """Of a `function-call`."""
    told = event.message.get("functionCall")
    return _tool_call({**told, "id": "function"} if isinstance(told, dict) else None, 0)


def report_of(event: VapiEvent) -> dict[str, str]:
    """What an end-of-call-report says of the conversation: VAPI's own summary, and every word."""
    artifact, analysis = event.message.get("artifact"), event.message.get("analysis")
    places = [artifact if isinstance(artifact, dict) else {}, event.message]
    transcript = next((each["transcript"] for each in places if isinstance(each.get("transcript"), str)), "")
    if not transcript:
        messages: list[Any] = next((each["messages"] for each in places if isinstance(each.get("messages"), list)), [])
        transcript = "\n".join(_line(each) for each in messages if isinstance(each, dict) and _line(each))
    places = [analysis if isinstance(analysis, dict) else {}, event.message]
    summary = next((each["summary"] for each in places if isinstance(each.get("summary"), str)), "")
    return {"summary": summary[:4000], "transcript": transcript[-_LONGEST_TRANSCRIPT:]}


def _tool_call(told: Any, place: int) -> ToolCall:
    function = told.get("function") if isinstance(told, dict) else None
    named = function if isinstance(function, dict) else told
    name = named.get("name") if isinstance(named, dict) else None
    identifier = name_of(told.get("id")) if isinstance(told, dict) else ""
    if not isinstance(name, str) or not identifier:
        where = f"toolCallList.{place}"
        raise Failure(Kind.INVALID, f"{where}: needs an id and a name", details={"field": where})
    arguments = named.get("arguments", named.get("parameters", {}))
    return ToolCall(identifier, name, arguments if isinstance(arguments, str) else json.dumps(arguments))


def _line(message: Mapping[str, Any]) -> str:
    text = message.get("message") or message.get("content")
    role = message.get("role")
    spoken = isinstance(text, str) and isinstance(role, str) and role not in ("system", "tool", "tool_calls")
    return f"{role}: {text}" if spoken else ""


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
