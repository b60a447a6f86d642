"""Answers in OpenAI's shapes, for what has none of a vendor's own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quintet.gateway.model import Choice, Completion, Delta, Usage
from quintet.store.clock import epoch


def completion_body(completion: Completion, at: datetime) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{completion.call_id}",
        "object": "chat.completion",
        "created": epoch(at),
        "model": completion.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(completion.choices)],
        "usage": usage_body(completion.usage),
    }


def chunk_body(call_id: str, model: str, delta: Delta, at: datetime, *, first: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {"role": "assistant"} if first else {}
    if delta.text or first:
        told["content"] = delta.text
    if delta.refusal:
        told["refusal"] = delta.refusal
    if delta.tool_index is not None:
        function = {"arguments": delta.tool_arguments}
        call: dict[str, Any] = {"index": delta.tool_index, "function": function}
        if delta.tool_id is not None:
            call |= {"id": delta.tool_id, "type": "function"}
        if delta.tool_name is not None:
            function["name"] = delta.tool_name
        told["tool_calls"] = [call]
    choice = {"index": delta.choice, "delta": told, "finish_reason": delta.finish_reason}
    if delta.logprobs is not None:
        choice["logprobs"] = delta.logprobs
    return {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion.chunk",
        "created": epoch(at),
        "model": model,
        "choices": [choice],
    }


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _choice(index: int, choice: Choice) -> Mapping[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.content, "refusal": choice.refusal}
    if choice.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.tool_calls
        ]
    return {"index": index, "message": message, "finish_reason": choice.finish_reason, "logprobs": choice.logprobs}
