"""What is said on the socket, in both roles."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from quintet.errors import Failure, Kind
from quintet.sockets.model import parsed

AUDIO_FORMAT = "pcm_16000"
_KINDS: Mapping[Kind, tuple[int, str]] = {
    Kind.MALFORMED: (1008, "invalid_message"),
    Kind.INVALID: (1008, "invalid_message"),
    Kind.TOO_LARGE: (1008, "invalid_message"),
    Kind.UNAUTHENTICATED: (1008, "unauthorized"),
    Kind.FORBIDDEN: (1008, "unauthorized"),
    Kind.LIMITED: (1008, "rate_limited"),
    Kind.EXHAUSTED: (1008, "quota_exceeded"),
    Kind.TIMEOUT: (1002, "llm_timeout"),
    Kind.UPSTREAM: (1002, "custom_llm_error"),
    Kind.UNAVAILABLE: (1002, "custom_llm_error"),
    Kind.REJECTED: (1002, "custom_llm_error"),
}
_INTERNAL = (1011, "internal_error")


def begun(conversation_id: str) -> dict[str, Any]:
    told = {
        "conversation_id": conversation_id,
        "agent_output_audio_format": AUDIO_FORMAT,
        "user_input_audio_format": AUDIO_FORMAT,
    }
    return {"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": told}


def ping(event_id: int) -> dict[str, Any]:
    return {"type": "ping", "ping_event": {"event_id": event_id, "ping_ms": None}}


def answer(text: str, event_id: int) -> dict[str, Any]:
    return {"type": "agent_response", "agent_response_event": {"agent_response": text, "event_id": event_id}}


def part(kind: str, text: str, event_id: int) -> dict[str, Any]:
    return {
        "type": "agent_chat_response_part",
        "text_response_part": {"text": text, "type": kind, "event_id": event_id},
    }


def interrupted(heard: str, event_id: int) -> list[dict[str, Any]]:
    correction = {"original_agent_response": heard, "corrected_agent_response": heard, "event_id": event_id}
    return [
        {"type": "interruption", "interruption_event": {"event_id": event_id}},
        {"type": "agent_response_correction", "agent_response_correction_event": correction},
    ]


def tool_call(name: str, identifier: str, parameters: Any, event_id: int) -> dict[str, Any]:
    told = {"tool_name": name, "tool_call_id": identifier, "parameters": parameters, "event_id": event_id}
    return {"type": "client_tool_call", "client_tool_call": told}


def error(failure: Failure) -> dict[str, Any]:
    code, kind = _KINDS.get(failure.kind, _INTERNAL)
    return {"type": "error", "error_event": {"code": code, "error_type": kind, "message": failure.told}}


def no_audio() -> dict[str, Any]:
    message = "This agent has no voice: no speech provider is configured. Send user_message instead of audio."
    return {"type": "error", "error_event": {"code": 1003, "error_type": "audio_not_supported", "message": message}}


def engine(text: str, event_id: int, *, last: bool) -> dict[str, Any]:
    return {"type": "agent_response", "content": text, "event_id": event_id, "is_final": last}


def engine_error(failure: Failure) -> dict[str, Any]:
    return {"type": "error", "message": failure.told}


def written(told: Mapping[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def read(message: str | bytes) -> dict[str, Any]:
    """Raises Failure for what is no JSON object."""
    try:
        told = parsed(message)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Failure(Kind.MALFORMED, "A message must be a JSON object")
    return told


def texts(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value]
