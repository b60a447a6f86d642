"""`WS /stream`: a message is a step of the connection's own agent, and every message says who sends it.

The agent's state lies in the agents table while the connection is open: each message may meet another instance. Steps
follow each other by version, so none is lost; who sends the next observation before the last action has come leaves
open which of them is first. This module is light: numpy and the runtime come with `quintet.policy.live`, which
whoever makes a `Stream` imports then.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.http.exchange import Exchange, Recorder
from quintet.identity.credentials import Credential
from quintet.identity.model import Principal
from quintet.policy.model import MOST_SEED, Handle, Order, Spent, Step, Wanted, connection_key
from quintet.sockets.dispatch import ROUTES
from quintet.sockets.model import LONGEST, Accepted, Connection, Handshake, Poster, parsed
from quintet.store.clock import Clock, SystemClock
from quintet.store.ids import new_id

_PATH, _DIALECT = ROUTES["cyborgmind"]
_KEPT = LONGEST + timedelta(minutes=30)

log = logging.getLogger("quintet.policy")

Authenticate = Callable[[Credential, datetime], Awaitable[Principal]]
Stranger = Callable[[Exchange], Awaitable[None]]
"""Counts a message of which nobody knows who sent it. Raises Failure when its address has sent too many."""


class Steps(Protocol):
    """`quintet.policy.stepping.Stepping`, as far as a connection needs it."""

    async def step(self, handle: Handle, observation: Any, order: Order, spent: Spent, /) -> Step: ...

    async def forget(self, handle: Handle, /) -> None: ...


class Stream:
    """The protocol of all connections to /stream."""

    def __init__(
        self,
        steps: Callable[[], Steps],
        poster: Poster,
        authenticate: Authenticate,
        stranger: Stranger,
        recorder: Recorder,
        clock: Clock | None = None,
    ) -> None:
        self._steps = steps
        self._poster = poster
        self._authenticate = authenticate
        self._stranger = stranger
        self._recorder = recorder
        self._clock = clock or SystemClock()

    async def connect(self, handshake: Handshake) -> Accepted:
        """Everybody: they name themselves with each message."""
        return Accepted(None, handshake.answer)

    async def message(self, connection: Connection, message: str | bytes) -> None:
        exchange = self._exchange(connection)
        try:
            reply = await self._answered(connection, message, exchange)
        except Failure as failure:
            exchange.failure = await self._counted(exchange, failure)
            reply = _refused(exchange.failure.message)
        except Exception:
            log.exception("unhandled failure", extra={"request_id": exchange.request_id, "path": _PATH})
            exchange.failure = Failure(Kind.INTERNAL, "Internal server error")
            reply = _refused(exchange.failure.message)
        exchange.status = _DIALECT.status(exchange.failure) if exchange.failure else 200
        try:
            await self._poster.post(connection.id, json.dumps(reply, allow_nan=False))
            if exchange.failure is not None and exchange.failure.kind is Kind.LIMITED:
                await self._poster.close(connection.id)
        finally:
            await self._record(exchange)

    async def disconnect(self, connection: Connection) -> None:
        await self._steps().forget(_handle(connection))

    async def _counted(self, exchange: Exchange, failure: Failure) -> Failure:
        """Guessing tokens is no cheaper here than over HTTP: who says too often who they are not is hung up on."""
        if exchange.caller is not None:
            return failure
        try:
            await self._stranger(exchange)
        except Failure as limited:
            return limited
        return failure

    async def _answered(self, connection: Connection, message: str | bytes, exchange: Exchange) -> dict[str, Any]:
        told = _read(message)
        exchange.caller = await self._named(told, exchange.at)
        if told.get("observation") is None:
            raise Failure(Kind.INVALID, "Missing 'observation' field")
        spent = Spent()
        try:
            done = await self._steps().step(_handle(connection), told["observation"], _order(told), spent)
        finally:
            exchange.facts["graph_ms"] = round(spent.graph * 1000, 3)
            exchange.facts["store_ms"] = round(spent.store * 1000, 3)
        exchange.facts["agent_version"] = done.version
        return {"action": done.action, "value": done.value, "pressure": done.pressure, "error": None}

    async def _named(self, told: dict[str, Any], now: datetime) -> Principal:
        token = told.get("token")
        if token is None or token == "":
            raise Failure(Kind.UNAUTHENTICATED, "Missing 'token' field in message")
        try:
            credential = Credential(str(token).strip(), bearer=True)
            if not isinstance(token, str):
                raise credential.refusal()
            caller = await self._authenticate(credential, now)
            caller.need("infer")
        except Failure as failure:
            if failure.kind not in {Kind.UNAUTHENTICATED, Kind.FORBIDDEN}:
                raise
            raise Failure(failure.kind, f"Authentication failed: {failure.message}") from None
        return caller

    def _exchange(self, connection: Connection) -> Exchange:
        """A message is recorded as requests are; once its sender is known it is not counted: it would be no stream."""
        now = self._clock.now()
        return Exchange(
            record_id=new_id("rec", now),
            request_id=new_id("req", now),
            group="policy",
            method="MESSAGE",
            path=_PATH,
            route=_PATH,
            ip=connection.ip,
            headers={},
            at=now,
            dialect=_DIALECT,
        )

    async def _record(self, exchange: Exchange) -> None:
        try:
            await self._recorder(exchange)
        except Exception:
            log.exception("request record lost", extra={"request_id": exchange.request_id})


def _handle(connection: Connection) -> Handle:
    return Handle(connection_key(connection.id), "default", _KEPT, from_start=True)


def _read(message: str | bytes) -> dict[str, Any]:
    try:
        told = parsed(message)
    except (ValueError, RecursionError):
        raise Failure(Kind.MALFORMED, "The message is not valid JSON") from None
    if not isinstance(told, dict):
        raise Failure(Kind.INVALID, "The message must be a JSON object")
    return told


def _order(told: dict[str, Any]) -> Order:
    """Deterministic unless the message says otherwise. Raises Failure."""
    deterministic, seed = told.get("deterministic", True), told.get("seed")
    if not isinstance(deterministic, bool):
        raise Failure(Kind.INVALID, "deterministic: Must be true or false")
    if seed is not None and (type(seed) is not int or not 0 <= seed <= MOST_SEED):
        raise Failure(Kind.INVALID, f"seed: Must be a whole number from 0 to {MOST_SEED}")
    name, version = told.get("policy"), told.get("version")
    if not isinstance(name, str | None) or not isinstance(version, str | int | None):
        raise Failure(Kind.INVALID, "policy: Must be a name")
    return Order(deterministic, seed, Wanted(name, None if version is None else str(version)))


def _refused(message: str) -> dict[str, Any]:
    return {"action": None, "value": 0.0, "pressure": 0.0, "error": message}
