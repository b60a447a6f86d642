"""Asking a vendor over HTTP: one answer or a stream of events, in time, bounded, and every failure named."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from quintet.gateway.providers.model import Fault, ProviderFault
from quintet.gateway.providers.refusals import Refusal, fault_of
from quintet.gateway.providers.sse import Event, Events, TooLarge
from quintet.net import client
from quintet.net.client import NetError, StreamedResponse
from quintet.net.guard import Forbidden, Rules

_LARGEST_ANSWER = 16 << 20
_LARGEST_REFUSAL = 64 << 10
_IDLE = 60.0  # seconds that a stream may be silent once it has begun
_READER = json.JSONDecoder(parse_constant=lambda _: None)
_FAREWELL = 0.25  # seconds that the connection's clean end is waited for, so that it can be used again


async def ask_once(
    vendor: str,
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    seconds: float,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """The answer as JSON."""
    try:
        answer = await client.send(
            "POST", url, headers=headers, body=_encoded(body), timeout=seconds, max_bytes=_LARGEST_ANSWER, rules=rules
        )
    except Forbidden as forbidden:
        raise not_allowed(forbidden) from forbidden
    except NetError as error:
        raise _cut_off(error) from error
    except ValueError as error:
        raise _not_sent(error) from error
    if answer.status != 200:
        raise fault_of(Refusal.read(answer.body), vendor=vendor, status=answer.status, headers=answer.headers)
    return parsed(vendor, answer.body)


class Asked:
    """A stream under way. `whole` is the answer where the vendor gave it in one piece after all."""

    def __init__(self, vendor: str, response: StreamedResponse, until: float, whole: dict[str, Any] | None) -> None:
        self.whole = whole
        self.started = False  # a piece has come: from now on `idle` bounds the silence
        self._vendor = vendor
        self._chunks = aiter(response.chunks())
        self._until = until

    async def events(self) -> AsyncIterator[Event]:
        """Set `started` with the first one that holds a piece of the answer."""
        events = Events()
        try:
            while (chunk := await self._next()) is not None:
                for event in events.feed(chunk):
                    if event.data:
                        yield event
            for event in events.end():
                if event.data:
                    yield event
        except TooLarge:
            raise malformed(self._vendor, "an event larger than any answer") from None

    async def rest(self, most: int) -> bytes:
        body = b""
        while len(body) < most and (chunk := await self._next()) is not None:
            body += chunk
        return body

    async def farewell(self) -> None:
        """The answer is complete: a short wait for the body's end keeps the connection."""
        try:
            async with asyncio.timeout(_FAREWELL):
                async for _ in self._chunks:
                    pass
        except (TimeoutError, NetError):
            pass

    async def _next(self) -> bytes | None:
        try:
            if self.started:
                return await anext(self._chunks, None)
            async with asyncio.timeout(self._until - time.monotonic()):
                return await anext(self._chunks, None)
        except TimeoutError:
            raise ProviderFault(Fault.TIMEOUT, f"{self._vendor} sent no piece in time", charged=True) from None
        except NetError as error:
            raise _cut_off(error) from error


@asynccontextmanager
async def ask_for_stream(
    vendor: str,
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    seconds: float,
    rules: Rules | None = None,
) -> AsyncIterator[Asked]:
    until = time.monotonic() + seconds
    try:
        encoded = _encoded(body)
        opened = client.stream("POST", url, headers=headers, body=encoded, timeout=seconds, idle=_IDLE, rules=rules)
        response = await opened.__aenter__()
    except Forbidden as forbidden:
        raise not_allowed(forbidden) from forbidden
    except NetError as error:
        raise _cut_off(error) from error
    except ValueError as error:
        raise _not_sent(error) from error
    try:
        asked = Asked(vendor, response, until, None)
        if response.status != 200:
            told = await asked.rest(_LARGEST_REFUSAL)
            raise fault_of(Refusal.read(told), vendor=vendor, status=response.status, headers=response.headers)
        type_ = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if type_ == "application/json":
            asked.whole = parsed(vendor, await asked.rest(_LARGEST_ANSWER))
        elif type_.startswith("text/html"):
            raise malformed(vendor, "a page instead of an answer")
        yield asked
    finally:
        await opened.__aexit__(None, None, None)


def parsed(vendor: str, text: bytes | str) -> dict[str, Any]:
    """NaN and infinity, which JSON does not have, become null: they may be handed on."""
    try:
        value = _READER.decode(text if isinstance(text, str) else text.decode(errors="replace"))
    except (ValueError, RecursionError):
        raise malformed(vendor, "something that is not JSON") from None
    if not isinstance(value, dict):
        raise malformed(vendor, "JSON that is not an object")
    return value


def malformed(vendor: str, what: str) -> ProviderFault:
    return ProviderFault(Fault.MALFORMED, f"{vendor} sent {what}", charged=True)


def not_allowed(forbidden: Forbidden) -> ProviderFault:
    return ProviderFault(Fault.FORBIDDEN, f"its base URL may not be called: {forbidden}")


def broken_off(vendor: str) -> ProviderFault:
    return ProviderFault(Fault.NETWORK, f"{vendor} broke off in the middle of the answer", charged=True)


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _cut_off(error: NetError) -> ProviderFault:
    return ProviderFault(Fault.TIMEOUT if error.timed_out else Fault.NETWORK, str(error), charged=error.sent)


def _not_sent(error: ValueError) -> ProviderFault:
    """The client's own words name the header or the rule, never a value."""
    return ProviderFault(Fault.REFUSED, f"this provider's settings cannot be used: {error}")
