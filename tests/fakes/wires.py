"""What the vendors put on the wire: one answer, as a body and as a stream, in each protocol's own form."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Told:
    """What the model says, whichever vendor says it."""

    text: str = "Hello from upstream"
    tool_calls: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()  # id, name, arguments
    input: int = 12
    output: int = 5
    cached: int = 0
    reasoning: int = 0
    thinking: str = ""
    finish: str | None = None  # in OpenAI's words

    @property
    def finish_reason(self) -> str:
        return self.finish or ("tool_calls" if self.tool_calls else "stop")

    @property
    def words(self) -> list[str]:
        pieces = self.text.split(" ")
        return [word if index == 0 else " " + word for index, word in enumerate(pieces)] if self.text else []


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Wire(Protocol):
    """`events` are complete frames; `content` of them tells which carry text or tool arguments."""

    stream_type: str

    def body(self, told: Told, model: str, *, usage: bool) -> dict[str, Any]: ...

    def events(self, told: Told, model: str, asked: Mapping[str, Any], *, usage: str) -> list[bytes]: ...

    def error_event(self) -> bytes: ...

    def refusal(self, kind: str) -> Refusal: ...


class OpenAi:
    stream_type = "text/event-stream; charset=utf-8"

    def body(self, told: Told, model: str, *, usage: bool) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": told.text or None, "refusal": None}
        if told.tool_calls:
            message["tool_calls"] = [
                {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
                for id_, name, arguments in told.tool_calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": told.finish_reason, "logprobs": None}
        body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_760_000_000, "model": model}
        return {**body, "choices": [choice], **({"usage": self._usage(told)} if usage else {})}

    def events(self, told: Told, model: str, asked: Mapping[str, Any], *, usage: str) -> list[bytes]:
        frames = [self._chunk(model, {"role": "assistant", "content": ""})]
        frames += [self._chunk(model, {"content": word}) for word in told.words]
        for index, (id_, name, arguments) in enumerate(told.tool_calls):
            function = {"name": name, "arguments": ""}
            frames.append(self._tool(model, {"index": index, "id": id_, "type": "function", "function": function}))
            text = json.dumps(arguments)
            for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
                frames.append(self._tool(model, {"index": index, "function": {"arguments": piece}}))
        if usage == "last content":
            frames.append(self._chunk(model, {}, told.finish_reason, usage=self._usage(told)))
        else:
            frames.append(self._chunk(model, {}, told.finish_reason))
        if usage == "own" and (asked.get("stream_options") or {}).get("include_usage"):
            frames.append(self._frame({**self._head(model), "choices": [], "usage": self._usage(told)}))
        return [*frames, b"data: [DONE]\n\n"]

    def error_event(self) -> bytes:
        error = {"message": "The server had an error", "type": "server_error", "param": None, "code": None}
        return self._frame({"error": error})

    def refusal(self, kind: str) -> Refusal:
        kinds: dict[str, tuple[int, str, str, str | None]] = {
            "rate_limited": (429, "Rate limit reached", "requests", "rate_limit_exceeded"),
            "quota": (429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
            "server": (500, "The server had an error", "server_error", None),
            "overloaded": (503, "The engine is currently overloaded", "server_error", None),
            "unauthorized": (401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
            "context": (
                400,
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
                "invalid_request_error",
                "context_length_exceeded",
            ),
            "refused": (400, "Unknown parameter: 'frobnicate'.", "invalid_request_error", "unknown_parameter"),
        }
        status, message, type_, code = kinds[kind]
        return Refusal(status, {"error": {"message": message, "type": type_, "param": None, "code": code}})

    def _usage(self, told: Told) -> dict[str, Any]:
        return {
            "prompt_tokens": told.input,
            "completion_tokens": told.output,
            "total_tokens": told.input + told.output,
            "prompt_tokens_details": {"cached_tokens": told.cached},
            "completion_tokens_details": {"reasoning_tokens": told.reasoning},
        }

    def _head(self, model: str) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": model}

    def _chunk(self, model: str, delta: Any, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return self._frame({**self._head(model), "choices": [choice], **more})

    def _tool(self, model: str, call: Any) -> bytes:
        return self._chunk(model, {"tool_calls": [call]})

    def _frame(self, value: Any) -> bytes:
        return b"data: " + compact(value) + b"\n\n"


_ANTHROPIC_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class Anthropic:
    stream_type = "text/event-stream; charset=utf-8"

    def body(self, told: Told, model: str, *, usage: bool) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if told.thinking:
            content.append({"type": "thinking", "thinking": told.thinking, "signature": "c2ln"})
        if told.text:
            content.append({"type": "text", "text": told.text})
        content += [{"type": "tool_use", "id": a, "name": b, "input": c} for a, b, c in told.tool_calls]
        body: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
        }
        body |= {"stop_reason": _ANTHROPIC_STOPS[told.finish_reason], "stop_sequence": None}
        return {**body, **({"usage": {**self._input(told), "output_tokens": told.output}} if usage else {})}

    def events(self, told: Told, model: str, asked: Mapping[str, Any], *, usage: str) -> list[bytes]:
        message: dict[str, Any] = {**self.body(Told(text=""), model, usage=False), "content": [], "stop_reason": None}
        if usage != "none":
            message["usage"] = {**self._input(told), "output_tokens": 1}
        frames = [self._frame("message_start", {"message": message}), self._frame("ping", {})]
        blocks: list[tuple[dict[str, Any], Sequence[dict[str, Any]]]] = []
        if told.thinking:
            thought = {"type": "thinking_delta", "thinking": told.thinking}
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, [thought]))
        if told.text:
            words = [{"type": "text_delta", "text": word} for word in told.words]
            blocks.append(({"type": "text", "text": ""}, words))
        for id_, name, arguments in told.tool_calls:
            text = json.dumps(arguments)
            pieces = ["", text[: len(text) // 2], text[len(text) // 2 :]]
            start = {"type": "tool_use", "id": id_, "name": name, "input": {}}
            blocks.append((start, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]))
        for index, (start, deltas) in enumerate(blocks):
            frames.append(self._frame("content_block_start", {"index": index, "content_block": start}))
            frames += [self._frame("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
            frames.append(self._frame("content_block_stop", {"index": index}))
        end: dict[str, Any] = {"delta": {"stop_reason": _ANTHROPIC_STOPS[told.finish_reason], "stop_sequence": None}}
        if usage != "none":
            end["usage"] = {"output_tokens": told.output}
        return [*frames, self._frame("message_delta", end), self._frame("message_stop", {})]

    def error_event(self) -> bytes:
        return self._frame("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})

    def refusal(self, kind: str) -> Refusal:
        status, type_, message = {
            "rate_limited": (429, "rate_limit_error", "This request would exceed your rate limit"),
            "quota": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            "server": (500, "api_error", "Internal server error"),
            "overloaded": (529, "overloaded_error", "Overloaded"),
            "unauthorized": (401, "authentication_error", "invalid x-api-key"),
            "context": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            "refused": (400, "invalid_request_error", "frobnicate: Extra inputs are not permitted"),
        }[kind]
        return Refusal(status, {"type": "error", "error": {"type": type_, "message": message}})

    def _input(self, told: Told) -> dict[str, int]:
        """The vendor counts what it read from its cache beside the rest."""
        fresh = told.input - told.cached
        return {"input_tokens": fresh, "cache_read_input_tokens": told.cached, "cache_creation_input_tokens": 0}

    def _frame(self, name: str, value: dict[str, Any]) -> bytes:
        return b"event: " + name.encode() + b"\ndata: " + compact({"type": name, **value}) + b"\n\n"


_BEDROCK_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "guardrail_intervened",
}


class Bedrock:
    """Converse. A refusal's kind of exception travels in a header."""

    stream_type = "application/vnd.amazon.eventstream"

    def body(self, told: Told, model: str, *, usage: bool) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if told.thinking:
            content.append({"reasoningContent": {"reasoningText": {"text": told.thinking}}})
        if told.text:
            content.append({"text": told.text})
        content += [{"toolUse": {"toolUseId": a, "name": b, "input": c}} for a, b, c in told.tool_calls]
        body = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _BEDROCK_STOPS[told.finish_reason],
            "metrics": {"latencyMs": 7},
        }
        return {**body, **({"usage": self._usage(told)} if usage else {})}

    def events(self, told: Told, model: str, asked: Mapping[str, Any], *, usage: str) -> list[bytes]:
        frames = [self.event("messageStart", {"role": "assistant"})]
        index = 0
        if told.thinking:
            delta = {"reasoningContent": {"text": told.thinking}}
            frames.append(self.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}))
            frames.append(self.event("contentBlockStop", {"contentBlockIndex": 0}))
            index = 1
        frames += [
            self.event("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": word}})
            for word in told.words
        ]
        frames.append(self.event("contentBlockStop", {"contentBlockIndex": index}))
        for id_, name, arguments in told.tool_calls:
            index += 1
            start = {"toolUse": {"toolUseId": id_, "name": name}}
            frames.append(self.event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
            text = json.dumps(arguments)
            for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
                delta = {"toolUse": {"input": piece}}
                frames.append(self.event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}))
            frames.append(self.event("contentBlockStop", {"contentBlockIndex": index}))
        frames.append(self.event("messageStop", {"stopReason": _BEDROCK_STOPS[told.finish_reason]}))
        if usage != "none":
            frames.append(self.event("metadata", {"usage": self._usage(told), "metrics": {"latencyMs": 7}}))
        return frames

    def error_event(self) -> bytes:
        headers = {":message-type": "exception", ":exception-type": "modelStreamErrorException"}
        return event_frame({**headers, ":content-type": "application/json"}, compact({"message": "The model broke"}))

    def refusal(self, kind: str) -> Refusal:
        status, type_, message = {
            "rate_limited": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
            "quota": (402, "ServiceQuotaExceededException", "Your quota is used up."),
            "server": (500, "InternalServerException", "The system encountered an unexpected error."),
            "overloaded": (503, "ServiceUnavailableException", "The service is not available."),
            "unauthorized": (403, "AccessDeniedException", "You don't have access to the model."),
            "context": (400, "ValidationException", "Input is too long for requested model."),
            "refused": (400, "ValidationException", "The toolConfig field is not supported by this model."),
        }[kind]
        return Refusal(status, {"message": message}, {"x-amzn-errortype": type_})

    def event(self, name: str, value: Any) -> bytes:
        headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
        return event_frame(headers, compact(value))

    def _usage(self, told: Told) -> dict[str, int]:
        usage = {"inputTokens": told.input - told.cached, "outputTokens": told.output}
        usage |= {"totalTokens": told.input + told.output, "cacheReadInputTokens": told.cached}
        return usage


def event_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """AWS's event stream: lengths, a checksum of them, headers, payload, a checksum of all."""
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack("!I", crc32(prelude)) + encoded + payload
    return message + struct.pack("!I", crc32(message))
