"""`/ws/stream`: prompts on an open socket, one answered after another."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from quintet.ask.asking import Asking
from quintet.ask.bodies import object_of
from quintet.ask.model import Question, correlation_of
from quintet.ask.questions import question_of
from quintet.errors import Failure, Kind
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.http.dialects import TORON
from quintet.http.exchange import Exchange
from quintet.sockets.messages import Messages
from quintet.sockets.model import MAX_MESSAGE, Accepted, Connection, Connections, Gone, Handshake, Poster, too_large
from quintet.sockets.turns import turn

GROUP = "ask"
PERMISSION = "call_models"
SECONDS = 110.0  # of one prompt, its wait included; the function lives a little longer
_PILE = 8 << 10  # characters of tokens that came while one was on its way go together

log = logging.getLogger("quintet.ask")

Stay = Callable[[Coroutine[Any, Any, None]], Awaitable[None]]
"""Works an answer off; may return before its end where the work goes on, for API Gateway waits 29 s only."""


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    await work


@dataclass(frozen=True, slots=True)
class Prompts:
    """A `SocketProtocol`."""

    asking: Asking
    poster: Poster
    connections: Connections
    messages: Messages
    stay: Stay = to_the_end

    async def connect(self, handshake: Handshake) -> Accepted:
        caller = handshake.principal()
        caller.need(PERMISSION)
        return Accepted(caller, handshake.answer)

    async def message(self, connection: Connection, message: str | bytes) -> None:
        await self.stay(self._heard(connection, message))

    async def disconnect(self, connection: Connection) -> None:
        """An answer that is on its way finds the socket gone with its next token."""

    async def _heard(self, connection: Connection, message: str | bytes) -> None:
        try:
            await self._attempt(connection, message)
        except Gone:
            await self.connections.remove(connection.id)

    async def _attempt(self, connection: Connection, message: str | bytes) -> None:
        try:
            async with self.messages.admitted(connection, GROUP) as exchange:
                try:
                    await self._answer(connection, message, exchange)
                except (Failure, Gone):
                    raise
                except Exception:
                    log.exception("a prompt failed", extra={"request_id": exchange.request_id})
                    raise Failure(Kind.INTERNAL, "Internal server error") from None
        except Failure as failure:
            await self._tell(connection, TORON.body(failure, self.messages.clock.now(), ""))
            if failure.kind is Kind.UNAUTHENTICATED:
                await self.poster.close(connection.id)

    async def _answer(self, connection: Connection, message: str | bytes, exchange: Exchange) -> None:
        body = object_of(message, "The message")
        if "encryption" in body:
            raise Failure(Kind.UNSUPPORTED, "Sealed prompts are taken at POST /api/v1/ask and POST /api/v1/stream")
        question = question_of(body)
        exchange.request_id = correlation_of(question.metadata) or exchange.request_id
        try:
            async with asyncio.timeout(SECONDS), turn(self.connections, connection.id, self.messages.clock):
                await self._stream(connection, question, exchange)
        except TimeoutError:
            raise Failure(Kind.TIMEOUT, "The answer took too long to finish") from None

    async def _stream(self, connection: Connection, question: Question, exchange: Exchange) -> None:
        caller = connection.principal
        assert caller is not None
        caller.need(PERMISSION)
        payer = payer_of(exchange, caller, session=connection.id)
        began = time.perf_counter()
        streamed = await self.asking.stream(question, payer, RequestJournal(exchange))
        index = 0
        try:
            async for token in streamed.pump.pieces(most=_PILE):
                await self._tell(connection, {"token": token, "index": index})
                index += 1
        finally:
            exchange.facts["socket_events"] = index
            await streamed.pump.close()
        answered = streamed.outcome()
        done = {
            "done": True,
            "output": answered.output,
            "tokens": answered.tokens,
            "id": exchange.record_id,
            "latency_ms": round((time.perf_counter() - began) * 1000),
            "models_used": list(answered.models),
            "metadata": dict(question.metadata),
        }
        if len(json.dumps(done, ensure_ascii=False).encode(errors="replace")) > MAX_MESSAGE:
            raise too_large("The whole answer, which its tokens have told already,")
        await self._tell(connection, done)

    async def _tell(self, connection: Connection, told: Mapping[str, Any]) -> None:
        await self.poster.post(connection.id, json.dumps(told, ensure_ascii=False, separators=(",", ":")))
