"""Amazon Bedrock's Converse and ConverseStream, through botocore."""

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from functools import lru_cache, partial
from typing import Any

from quintet.copies import forget_in_copies
from quintet.gateway.model import Ask, Choice, Delta, ToolCall, Usage
from quintet.gateway.providers.calling import broken_off, malformed, not_allowed
from quintet.gateway.providers.contents import refuse_what_only_openai_does, unsupported
from quintet.gateway.providers.model import Answer, Fault, ProviderFault, Target
from quintet.gateway.providers.refusals import Refusal, VendorFault, fault_of, field_in
from quintet.gateway.providers.threads import in_thread, pumped
from quintet.gateway.providers.turns import Call, Conversation, Media, Piece, Result, Text, conversation
from quintet.gateway.providers.untaken import Untaken
from quintet.net.guard import Forbidden, Unresolved, check, resolve_all

_VENDOR = "Bedrock"
_IDLE = 60  # seconds that a stream may be silent
_PATIENCE = (5, 15, 30, 60, 120, 300)  # seconds: a client knows one time limit, so there is one for each
_OWN_NAME = re.compile(
    r"(?:[a-z0-9-]+\.)?bedrock-runtime(?:-fips)?\.[a-z0-9-]+\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
}
_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


class Bedrock:
    def __init__(self) -> None:
        self._untaken = Untaken(
            frozenset({"temperature", "topP"}), names={"top_p": "topP"}
        )  # newer models take neither

    async def complete(self, ask: Ask, target: Target, seconds: float, /) -> Answer:
        talk = _talk(ask)
        try:
            async with asyncio.timeout(seconds):
                return _answer(await self._asked("converse", ask, target, talk, seconds), talk)
        except TimeoutError:
            raise _late(seconds) from None

    @asynccontextmanager
    async def stream(self, ask: Ask, target: Target, seconds: float, /) -> AsyncIterator[AsyncIterator[Delta | Usage]]:
        talk, until = _talk(ask), time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                opened = await self._asked("converse_stream", ask, target, talk, _IDLE)
        except TimeoutError:
            raise _late(seconds) from None
        try:
            async with aclosing(_streamed(opened["stream"], talk, until)) as pieces:
                yield pieces
        finally:
            _hang_up(opened["stream"])

    async def _asked(self, verb: str, ask: Ask, target: Target, talk: Conversation, patience: float) -> dict[str, Any]:
        await _check_endpoint(target)
        request = _request(ask, target, talk)
        limits = request.get("inferenceConfig", {})
        while True:
            sent = self._untaken.without(limits, target)
            call = partial(_call, verb, {**request, "inferenceConfig": sent}, target, patience)
            try:
                return await in_thread(call, abandoned=_abandon)
            except VendorFault as fault:
                if not self._untaken.learns(fault, sent, target):
                    raise


def adapter() -> Bedrock:
    return Bedrock()


async def _check_endpoint(target: Target) -> None:
    """botocore looks the name up by itself: what lets a name lead where it likes is that TLS proves it to be AWS's."""
    if not target.base_url or target.rules is None:
        return
    try:
        parts = check(target.base_url, target.rules)
        if parts.scheme == "https" and _OWN_NAME.fullmatch(parts.hostname or ""):
            return
        if target.rules.private:
            await resolve_all(target.base_url, target.rules)
            return
    except Forbidden as forbidden:
        raise not_allowed(forbidden) from forbidden
    except Unresolved as error:
        raise ProviderFault(Fault.NETWORK, f"{_VENDOR} could not be reached: {error}") from error
    raise not_allowed(Forbidden("the endpoint is none of AWS's own"))


def _talk(ask: Ask) -> Conversation:
    refuse_what_only_openai_does(ask, _VENDOR)
    return conversation(ask)


def _request(ask: Ask, target: Target, talk: Conversation) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    wanted = ask.max_tokens or target.max_output
    if wanted:
        limits["maxTokens"] = min(wanted, target.max_output) if target.max_output else wanted
    takes = target.options.get("sampling", True)
    names = ("temperature", "top_p") if takes is True else takes if isinstance(takes, list | tuple) else ()
    if ask.temperature is not None and "temperature" in names:
        limits["temperature"] = min(ask.temperature, 1.0)
    elif ask.top_p is not None and "top_p" in names:
        limits["topP"] = ask.top_p
    if ask.stop:
        limits["stopSequences"] = list(ask.stop)
    request: dict[str, Any] = {
        "modelId": target.name,
        "messages": [{"role": turn.role, "content": [_block(each) for each in turn.pieces]} for turn in talk.turns],
    }
    request["inferenceConfig"] = limits
    if talk.system:
        request["system"] = [{"text": talk.system}]
    if talk.tools:
        request["toolConfig"] = _tool_config(talk)
    if target.options.get("fields"):
        request["additionalModelRequestFields"] = target.options["fields"]
    return request


def _tool_config(talk: Conversation) -> dict[str, Any]:
    tools = []
    for tool in talk.tools:
        about = {"description": tool.description} if tool.description else {}
        tools.append({"toolSpec": {"name": tool.name, **about, "inputSchema": {"json": tool.schema}}})
    choice: dict[str, Any] = {"auto": {}}
    if talk.must_call is not None:
        choice = {"any": {}} if talk.must_call == "*" else {"tool": {"name": talk.must_call}}
    return {"tools": tools} if talk.must_call is None else {"tools": tools, "toolChoice": choice}


def _block(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, Text):
        return {"text": piece.text}
    if isinstance(piece, Call):
        return {"toolUse": {"toolUseId": piece.id, "name": piece.name, "input": dict(piece.input)}}
    if isinstance(piece, Result):
        return {"toolResult": {"toolUseId": piece.id, "content": [{"text": piece.text}]}}
    return _medium(piece)


def _medium(piece: Media) -> dict[str, Any]:
    if piece.url:
        raise unsupported("messages", f"{_VENDOR} fetches nothing: give images as data URLs in base64")
    source = {"bytes": base64.b64decode(piece.data)}
    if piece.type in _IMAGES:
        return {"image": {"format": _IMAGES[piece.type], "source": source}}
    if piece.type in _DOCUMENTS:
        name = "".join(each if each.isalnum() else "-" for each in piece.name)[:100] or "document"
        return {"document": {"format": _DOCUMENTS[piece.type], "name": name, "source": source}}
    raise unsupported("messages", f"{_VENDOR} does not take {piece.type}")


@lru_cache(32)
def _client(region: str, endpoint: str, key: str, patience: int) -> Any:
    """`key` is a Bedrock API key, or `id:secret[:token]` of an AWS identity; empty means the function's own role."""
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    parts = key.split(":", 2)
    bearer = key if len(parts) < 2 else ""
    config = Config(
        connect_timeout=min(5, patience),
        read_timeout=patience,
        retries={"total_max_attempts": 1},  # trying again is the gateway's business
        max_pool_connections=64,
        ignore_configured_endpoint_urls=bool(key),  # whoever brings a key means AWS itself, not the local emulator
        **({"signature_version": UNSIGNED} if bearer else {}),
    )
    given = {}
    if key and not bearer:
        given = dict(zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), parts, strict=False))
    session = botocore.session.get_session()
    client = session.create_client(
        "bedrock-runtime", region_name=region or None, endpoint_url=endpoint or None, config=config, **given
    )
    if bearer:
        client.meta.events.register("before-send.bedrock-runtime", partial(_bear, bearer))
    return client


forget_in_copies(_client.cache_clear)


def _bear(key: str, request: Any, **_: Any) -> None:
    request.headers["Authorization"] = f"Bearer {key}"


def _call(verb: str, request: Mapping[str, Any], target: Target, seconds: float) -> dict[str, Any]:
    """In a thread. The socket's own limit is the next longer that there is a client for."""
    from botocore import exceptions, parsers

    patience = next((each for each in _PATIENCE if each >= seconds), _PATIENCE[-1])
    try:
        client = _client(str(target.options.get("region") or ""), target.base_url, target.api_key, patience)
        told: dict[str, Any] = getattr(client, verb)(**request)
    except exceptions.ClientError as error:
        raise _refused(error) from error
    except exceptions.ReadTimeoutError as error:
        raise ProviderFault(Fault.TIMEOUT, f"{_VENDOR} did not answer in time", charged=True) from error
    except exceptions.ConnectTimeoutError as error:
        raise ProviderFault(Fault.TIMEOUT, f"{_VENDOR} could not be reached in time") from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        sent = isinstance(error, exceptions.ConnectionClosedError)
        reason = f"{_VENDOR} could not be reached ({type(error).__name__})"
        raise ProviderFault(Fault.NETWORK, reason, charged=sent) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.NoAuthTokenError) as error:
        raise ProviderFault(Fault.UNAUTHORIZED, f"no AWS credentials for {_VENDOR}") from error
    except exceptions.BotoCoreError as error:  # its words may quote the request
        raise ProviderFault(Fault.REFUSED, f"{_VENDOR} cannot be asked this ({type(error).__name__})") from error
    except (parsers.ResponseParserError, ValueError) as error:
        raise malformed(_VENDOR, "an answer that cannot be read") from error
    return told


def _refused(error: Any, *, charged: bool = False) -> VendorFault:
    told = error.response.get("Error") or {}
    text = str(told.get("Message", ""))
    meta = error.response.get("ResponseMetadata") or {}
    return fault_of(
        Refusal((str(told.get("Code", "")).lower(),), text, field_in(text)),
        vendor=_VENDOR,
        status=None if charged else meta.get("HTTPStatusCode"),
        headers=meta.get("HTTPHeaders") or {},
        charged=charged,
    )


def _late(seconds: float) -> ProviderFault:
    return ProviderFault(Fault.TIMEOUT, f"{_VENDOR} did not answer within {seconds:g} s", charged=True)


def _abandon(told: Mapping[str, Any]) -> None:
    if "stream" in told:
        _hang_up(told["stream"])


def _hang_up(stream: Any) -> None:
    """A thread may be reading: the socket is shut down under it, then closed."""
    raw = getattr(stream, "_raw_stream", None)
    shutdown = getattr(raw, "shutdown", None)
    if shutdown is not None and not getattr(raw, "closed", True):
        with suppress(OSError, ValueError, RuntimeError):  # it may be over already
            shutdown()
    stream.close()


def _answer(told: Mapping[str, Any], talk: Conversation) -> Answer:
    message = (told.get("output") or {}).get("message")
    if not isinstance(message, Mapping):
        raise malformed(_VENDOR, "an answer without a message")
    texts, calls, answered = [], [], None
    for block in message.get("content") or ():
        if "text" in block:
            texts.append(block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            arguments = json.dumps(use.get("input") or {}, ensure_ascii=False)
            if use.get("name") == talk.answer_tool:
                answered = arguments
            else:
                calls.append(ToolCall(str(use.get("toolUseId")), str(use.get("name")), arguments))
    finish = _FINISHES.get(str(told.get("stopReason")), "stop")
    if answered is not None and not calls and finish == "tool_calls":
        finish = "stop"
    text = answered if answered is not None else "".join(texts)
    choice = Choice(text if texts or answered is not None or not calls else None, tuple(calls), finish)
    return Answer((choice,), _usage(told.get("usage")), _plain(told))


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it: bytes in base64, and nothing of what botocore adds about the transport."""
    kept = {name: value for name, value in told.items() if name != "ResponseMetadata"}
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=_in_base64))
    return plain


def _in_base64(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _usage(told: Any) -> Usage | None:
    if not isinstance(told, Mapping) or not isinstance(told.get("inputTokens"), int):
        return None
    read, written = (int(told.get(f"cache{each}InputTokens") or 0) for each in ("Read", "Write"))
    return Usage(
        input=told["inputTokens"] + read + written,
        output=int(told.get("outputTokens") or 0),
        cached=read,
        cache_written=written,
    )


async def _streamed(stream: Any, talk: Conversation, until: float) -> AsyncGenerator[Delta | Usage]:
    reading = _Reading(talk)
    events = pumped(stream)
    try:
        while True:
            async with asyncio.timeout(None if reading.started else until - time.monotonic()):
                event = await anext(events, None)
            if event is None:
                break
            for piece in reading.read(event):
                yield piece
    except TimeoutError:
        raise ProviderFault(Fault.TIMEOUT, f"{_VENDOR} sent no piece in time", charged=True) from None
    except ProviderFault:
        raise
    except Exception as error:
        fault = _broken(error)
        if not reading.finished or fault.fault != Fault.NETWORK:
            raise fault from error
    finally:
        await events.aclose()
    if not reading.finished:
        raise broken_off(_VENDOR)


def _broken(error: Exception) -> ProviderFault:
    """What reading a stream can raise: the vendor's exception, a damaged frame, the socket's end."""
    from botocore import eventstream, exceptions, parsers

    if isinstance(error, exceptions.EventStreamError):
        return _refused(error, charged=True)
    if isinstance(error, exceptions.ReadTimeoutError | TimeoutError):
        return ProviderFault(Fault.TIMEOUT, f"{_VENDOR} fell silent", charged=True)
    if isinstance(error, eventstream.ParserError | parsers.ResponseParserError | ValueError | KeyError):
        return malformed(_VENDOR, "a stream that cannot be read")
    return broken_off(_VENDOR)


class _Reading:
    """Blocks have numbers of their own: which are tool calls, and which of those is the answer itself."""

    def __init__(self, talk: Conversation) -> None:
        self.started = False
        self.finished = False
        self._answer_tool = talk.answer_tool
        self._tools: dict[int, int] = {}
        self._answers: set[int] = set()

    def read(self, event: Mapping[str, Any]) -> list[Delta | Usage]:
        if "contentBlockStart" in event:
            self.started = True
            return self._begun(event["contentBlockStart"])
        if "contentBlockDelta" in event:
            self.started = True
            return self._continued(event["contentBlockDelta"])
        if "messageStop" in event:
            self.finished = True
            reason = _FINISHES.get(str(event["messageStop"].get("stopReason")), "stop")
            only_answer = reason == "tool_calls" and self._answers and not self._tools
            return [Delta(finish_reason="stop" if only_answer else reason)]
        if "metadata" in event:
            usage = _usage(event["metadata"].get("usage"))
            return [usage] if usage is not None else []
        return []

    def _begun(self, told: Mapping[str, Any]) -> list[Delta | Usage]:
        use, block = (told.get("start") or {}).get("toolUse"), told.get("contentBlockIndex", 0)
        if not use:
            return []
        if self._answer_tool is not None and use.get("name") == self._answer_tool:
            self._answers.add(block)
            return []
        number = self._tools[block] = len(self._tools)
        return [Delta(tool_index=number, tool_id=str(use.get("toolUseId")), tool_name=str(use.get("name")))]

    def _continued(self, told: Mapping[str, Any]) -> list[Delta | Usage]:
        delta, block = told.get("delta") or {}, told.get("contentBlockIndex", 0)
        if delta.get("text") and self._answer_tool is None:
            return [Delta(text=delta["text"])]
        piece = (delta.get("toolUse") or {}).get("input")
        if piece and block in self._answers:
            return [Delta(text=piece)]
        if piece and block in self._tools:
            return [Delta(tool_index=self._tools[block], tool_arguments=piece)]
        return []
