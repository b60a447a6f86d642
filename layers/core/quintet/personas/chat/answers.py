"""An answer in OpenAI's shape, whole or piece by piece."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from quintet.gateway.model import Choice, Delta, ToolCall, Usage

DONE = b"data: [DONE]\n\n"


def new_completion_id() -> str:
    """Nanoseconds, as tron.md's are, and enough besides to be nobody else's."""
    return f"chatcmpl-{time.time_ns()}{secrets.randbelow(10**6):06d}"


@dataclass(slots=True)
class Answering:
    """`model` is what the caller is told; `fingerprint` which model it really was.

    `functions`: the caller speaks the deprecated form.
    """

    model: str
    created: int
    functions: bool = False
    include_usage: bool = False
    id: str = field(default_factory=new_completion_id)
    fingerprint: str = ""
    _begun: set[int] = field(default_factory=set)

    def whole(self, choices: Sequence[Choice], usage: Usage) -> dict[str, Any]:
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": index,
                    "message": self._message(choice),
                    "logprobs": choice.logprobs,
                    "finish_reason": self._reason(choice.finish_reason),
                }
                for index, choice in enumerate(choices)
            ],
            "usage": usage_of(usage),
        }

    def first(self, choice: int = 0) -> list[bytes]:
        """What every choice begins with, once."""
        if choice in self._begun:
            return []
        self._begun.add(choice)
        return [self._chunk(choice, {"role": "assistant", "content": "", "refusal": None})]

    def pieces(self, delta: Delta) -> list[bytes]:
        told: dict[str, Any] = {}
        if delta.text:
            told["content"] = delta.text
        if delta.refusal:
            told["refusal"] = delta.refusal
        if delta.tool_index is not None:
            told.update(self._tool(delta))
        chunks = self.first(delta.choice)
        if told or delta.logprobs is not None:
            chunks.append(self._chunk(delta.choice, told, logprobs=delta.logprobs))
        if delta.finish_reason is not None:
            chunks.append(self._chunk(delta.choice, {}, self._reason(delta.finish_reason)))
        return chunks

    def last(self, usage: Usage) -> list[bytes]:
        chunks = []
        if self.include_usage:
            chunks.append(_event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(usage)}))
        return [*chunks, DONE]

    def _head(self, kind: str) -> dict[str, Any]:
        head: dict[str, Any] = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        if self.fingerprint:
            head["system_fingerprint"] = self.fingerprint
        return head

    def _chunk(self, choice: int, delta: dict[str, Any], reason: str | None = None, logprobs: Any = None) -> bytes:
        told = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        chunk = {**self._head("chat.completion.chunk"), "choices": [told]}
        if self.include_usage:
            chunk["usage"] = None
        return _event(chunk)

    def _message(self, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": choice.content, "refusal": choice.refusal}
        if not choice.tool_calls:
            if choice.content is None and choice.refusal is None:
                message["content"] = ""
        elif self.functions:
            call = choice.tool_calls[0]
            message["function_call"] = {"name": call.name, "arguments": call.arguments}
        else:
            message["tool_calls"] = [_call(call) for call in choice.tool_calls]
        return message

    def _tool(self, delta: Delta) -> dict[str, Any]:
        function = {"arguments": delta.tool_arguments}
        if delta.tool_name is not None:
            function = {"name": delta.tool_name, **function}
        if self.functions:
            return {"function_call": function} if delta.tool_index == 0 else {}
        told: dict[str, Any] = {"index": delta.tool_index}
        if delta.tool_id is not None:
            told.update(id=delta.tool_id, type="function")
        return {"tool_calls": [{**told, "function": function}]}

    def _reason(self, reason: str) -> str:
        return "function_call" if self.functions and reason == "tool_calls" else reason


def usage_of(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _event(chunk: dict[str, Any]) -> bytes:
    text = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode(errors="replace") + b"\n\n"
