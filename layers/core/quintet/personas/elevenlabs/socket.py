"""`/ws/elevenlabs`: a persona as ElevenLabs' clients know an agent, and as its Speech Engine knows a server."""

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.journals import RequestJournal, payer_of
from quintet.gateway.model import Ask, Message
from quintet.identity.credentials import Credential, refused
from quintet.identity.model import Principal, PrincipalKind, anonymous
from quintet.personas.callers import name_of
from quintet.personas.cast import Cast
from quintet.personas.chat.request import ChatRequest
from quintet.personas.doing import Line
from quintet.personas.elevenlabs import frames
from quintet.personas.elevenlabs.reading import beginning_of, latest, number_of, transcript_of, words_of
from quintet.personas.elevenlabs.tokens import HEADER, dialled_by_elevenlabs
from quintet.personas.elevenlabs.voices import AgentVoice, EngineVoice, Voice
from quintet.personas.model import session_key
from quintet.personas.ports import Conversations
from quintet.personas.talk import Talk, Turn
from quintet.sockets.messages import Messages
from quintet.sockets.model import Accepted, Changed, Connection, Connections, Gone, Handshake, Poster

GROUP = "personas"
PERMISSION = "use_personas"
SUBPROTOCOL = "convai"
TOKEN = "token"  # noqa: S105 - the query parameter that a signed URL has it in
_LOOK_SECONDS = 0.25  # between two looks whether the caller has spoken over us
_MOST_CONTEXT = 20
_CONTEXT = 2_000  # characters
# Bytes of what a connection keeps: its row has 400 KB.
_CONTEXTS, _TOOLS, _WAITING, _RESULTS = 40_000, 60_000, 100_000, 100_000

_AGENT, _ENGINE = "agent", "engine"

log = logging.getLogger("quintet.personas")

Apart = Callable[[Coroutine[Any, Any, None]], Awaitable[None]]
"""Runs an answer where it does not keep the connection's next message waiting: that message may be what ends it."""


@dataclass(frozen=True, slots=True)
class Access:
    """`api_key` is ElevenLabs' own; `account` answers under which one nobody in particular comes in. `authenticate`
    reads the token of a signed URL."""

    api_key: Callable[[], Awaitable[str]]
    open_to_all: Callable[[], bool]
    account: Callable[[str], str]
    authenticate: Callable[[Credential, datetime], Awaitable[Principal]]


@dataclass(frozen=True, slots=True)
class Voices:
    """A `SocketProtocol`. Its attributes of a connection: who speaks (`agent`), with whom (`caller`), in which role
    (`kind`), what the latest turn is (`turn`), and what it has not answered yet (`waiting`)."""

    cast: Cast
    talk: Talk
    conversations: Conversations
    poster: Poster
    connections: Connections
    messages: Messages
    access: Access
    apart: Apart

    async def connect(self, handshake: Handshake) -> Accepted:
        caller = await self._caller(handshake)
        caller.need(PERMISSION)
        wanted = self.cast.find(handshake.query.get("agent_id", "")) or self.cast.first
        conversation = f"conv_{secrets.token_hex(12)}"
        offered = SUBPROTOCOL if SUBPROTOCOL in handshake.offered else handshake.answer
        attributes = {"agent": wanted.id, "conversation": conversation, "caller": conversation, "event": 0}
        return Accepted(caller, offered, attributes)

    async def message(self, connection: Connection, message: str | bytes) -> None:
        try:
            await self._heard(connection, frames.read(message))
        except Failure as failure:
            await self._refuse(connection, failure)

    async def disconnect(self, connection: Connection) -> None:
        """An answer that is on its way notices by itself that nobody listens."""
        known = connection.attributes
        key = session_key(_scope(connection.principal), known["caller"], known["agent"])
        await self.conversations.end(key, self.talk.clock.now())

    async def _caller(self, handshake: Handshake) -> Principal:
        token = handshake.headers.get(HEADER)
        if token is not None:
            if not dialled_by_elevenlabs(await self.access.api_key(), token, handshake.at):
                raise refused("The Speech Engine's token does not count: is ELEVENLABS_API_KEY the one of its account?")
            name = "persona-elevenlabs"
            return Principal(name, PrincipalKind.SERVICE, f"user#{name}", frozenset({PERMISSION}))
        signed = handshake.query.get(TOKEN)
        if signed and handshake.caller is None:
            return await self.access.authenticate(Credential(signed, bearer=True), handshake.at)
        if handshake.caller is None and self.access.open_to_all():
            return anonymous(self.access.account(handshake.ip))
        return handshake.principal()

    async def _heard(self, connection: Connection, told: Mapping[str, Any]) -> None:
        if "user_audio_chunk" in told and "type" not in told:
            await self._audio(connection)
            return
        match told.get("type"):
            case "conversation_initiation_client_data":
                await self._begin(connection, told)
            case "init":
                await self._change(connection, kind=_ENGINE, caller=_conversation(told, connection))
            case "ping":
                await self._tell(connection, {"type": "pong"})
            case "close":
                await self.poster.close(connection.id)
            case "user_transcript":
                await self._transcript(connection, told)
            case "user_message" | "multimodal_message":
                await self._words(connection, told)
            case "contextual_update":
                await self._context(connection, told)
            case "client_tool_result":
                await self._result(connection, told)

    async def _begin(self, connection: Connection, told: Mapping[str, Any]) -> None:
        """The metadata is said first, and once: clients look at nothing else before it."""
        if connection.attributes.get("kind") == _AGENT:
            return
        start = beginning_of(told)
        known = await self._change(
            connection,
            kind=_AGENT,
            text_only=start.text_only,
            told=start.told,
            tools=latest([json.dumps(tool) for tool in start.tools], _TOOLS),
            caller=start.user or connection.attributes["caller"],
        )
        await self._tell(known, frames.begun(str(known.attributes["conversation"])))
        if start.greeting:
            await self._tell(known, frames.answer(start.greeting, 0))
        await self._tell(known, frames.ping(1))

    async def _audio(self, connection: Connection) -> None:
        """Said once: a microphone would be told forty times a second."""
        if not connection.attributes.get("deaf"):
            await self._change(connection, deaf=True)
            await self._tell(connection, frames.no_audio())

    async def _context(self, connection: Connection, told: Mapping[str, Any]) -> None:
        text = told.get("text")
        if isinstance(text, str) and text.strip():
            before = list(connection.attributes.get("context", ()))
            context = [*before, text.strip()[:_CONTEXT]][-_MOST_CONTEXT:]
            await self._change(connection, context=latest(context, _CONTEXTS))

    async def _words(self, connection: Connection, told: Mapping[str, Any]) -> None:
        words = words_of(told)
        if not words:
            raise Failure(Kind.INVALID, "text: must be a text that is not empty")
        waiting = latest([*connection.attributes.get("waiting", ()), words], _WAITING)
        known = await self._next(connection, waiting=waiting)
        voice = AgentVoice(self._teller(known), known.attributes["event"], bool(known.attributes.get("text_only")))
        await self._answer(known, [{"role": "user", "content": each} for each in waiting], voice)

    async def _result(self, connection: Connection, told: Mapping[str, Any]) -> None:
        """The persona goes on once all of its calls have their results."""
        pending = dict(connection.attributes.get("pending", {}))
        identifier = str(told.get("tool_call_id"))
        if identifier not in pending:
            return
        result = told.get("result")
        text = result if isinstance(result, str) else json.dumps(result)
        told_back = f"Error: {text}" if told.get("is_error") else text
        pending[identifier] = told_back.encode()[: _RESULTS // len(pending)].decode(errors="ignore")
        known = await self._change(connection, pending=pending)
        if all(value is not None for value in pending.values()):
            known = await self._next(known, pending={})
            voice = AgentVoice(self._teller(known), known.attributes["event"], bool(known.attributes.get("text_only")))
            results: list[Message] = [
                {"role": "tool", "tool_call_id": each, "content": value} for each, value in pending.items()
            ]
            await self._answer(known, results, voice)

    async def _transcript(self, connection: Connection, told: Mapping[str, Any]) -> None:
        """The Speech Engine repeats the whole conversation; a newer event replaces the one that is being answered."""
        event, said = number_of(told.get("event_id")), transcript_of(told)
        latest = connection.attributes.get("heard")
        if (latest is not None and event <= latest) or not said:
            return
        known = await self._next(connection, heard=event, kind=_ENGINE)
        await self._answer(known, said, EngineVoice(self._teller(known), event))

    async def _answer(self, connection: Connection, said: Sequence[Message], voice: Voice) -> None:
        await self.apart(self._speak(connection, said, voice))

    async def _speak(self, connection: Connection, said: Sequence[Message], voice: Voice) -> None:
        try:
            async with self.messages.admitted(connection, GROUP) as exchange:
                caller = connection.principal
                assert caller is not None
                turn = self.talk.begin(
                    self._line(connection),
                    self._request(connection, said),
                    payer_of(exchange, caller),
                    RequestJournal(exchange),
                )
                async with turn:
                    await self._until_overtaken(connection, turn, voice)
        except Gone:
            await self.connections.remove(connection.id)
        except Failure as failure:
            await self._refuse(connection, failure)
        except Exception:
            log.exception("an answer failed")
            await self._refuse(connection, Failure(Kind.INTERNAL, "Internal server error"))

    async def _until_overtaken(self, connection: Connection, turn: Turn, voice: Voice) -> None:
        speaking = asyncio.create_task(voice.say(turn))
        looking = asyncio.create_task(self._overtaken(connection))
        try:
            await asyncio.wait({speaking, looking}, return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                pending = speaking.result()
                await self._change(connection, waiting=[], pending=dict.fromkeys(pending))
                return
        finally:
            for task in (speaking, looking):
                task.cancel()
            await asyncio.gather(speaking, looking, return_exceptions=True)
        await voice.interrupted()  # before the next turn may begin
        await turn.aclose()

    async def _overtaken(self, connection: Connection) -> None:
        """Until the caller has said something else, or has gone."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            known = await self.connections.find(connection.id)
            if known is None or known.attributes.get("turn") != connection.attributes["turn"]:
                return

    def _line(self, connection: Connection) -> Line:
        known = connection.attributes
        persona = self.cast.find(known["agent"]) or self.cast.first
        return Line(persona, known["caller"], _scope(connection.principal), "voice", "Hold a conversation")

    def _request(self, connection: Connection, said: Sequence[Message]) -> ChatRequest:
        known = connection.attributes
        told = [known.get("told", ""), *(f"The client says: {each}" for each in known.get("context", ()))]
        instructions: list[Message] = [{"role": "system", "content": each} for each in told if each]
        tools = [json.loads(each) for each in known.get("tools", ())]
        return ChatRequest(known["agent"], Ask([*instructions, *said], tools=tools))

    async def _next(self, connection: Connection, **changes: Any) -> Connection:
        """The connection with a new turn: whoever speaks now notices that it is not theirs any more."""
        event = number_of(connection.attributes.get("event")) + 1
        return await self._change(connection, turn=secrets.token_hex(6), event=event, **changes)

    async def _change(self, connection: Connection, **changes: Any) -> Connection:
        """Changes go on top of what another message has changed in between."""
        known: Connection | None = connection
        while known is not None:
            try:
                return await self.connections.save(known.with_attributes(**changes))
            except Changed:
                known = await self.connections.find(connection.id)
        raise Gone

    def _teller(self, connection: Connection) -> Callable[[Mapping[str, Any]], Awaitable[None]]:
        return lambda told: self._tell(connection, told)

    async def _tell(self, connection: Connection, told: Mapping[str, Any]) -> None:
        await self.poster.post(connection.id, frames.written(told))

    async def _refuse(self, connection: Connection, failure: Failure) -> None:
        engine = connection.attributes.get("kind") == _ENGINE
        try:
            await self._tell(connection, frames.engine_error(failure) if engine else frames.error(failure))
            if failure.kind in (Kind.UNAUTHENTICATED, Kind.MALFORMED):
                await self.poster.close(connection.id)
        except Gone:
            await self.connections.remove(connection.id)


def _scope(caller: Principal | None) -> str:
    return "" if caller is None or caller.kind is PrincipalKind.ANONYMOUS else caller.owner


def _conversation(told: Mapping[str, Any], connection: Connection) -> str:
    return name_of(told.get("conversation_id")) or str(connection.attributes["conversation"])
