"""ElevenLabs: sentences, the Speech Engine's token, and both roles on the socket."""

import asyncio
import json
from collections.abc import Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from quintet.errors import Failure, Kind
from quintet.gateway.model import Choice
from quintet.identity.door import Door
from quintet.identity.minting import minted
from quintet.identity.model import Principal, PrincipalKind
from quintet.identity.tokens import keyring
from quintet.personas.cast import cast
from quintet.personas.elevenlabs.sentences import Sentences
from quintet.personas.elevenlabs.socket import Access, Voices
from quintet.personas.elevenlabs.tokens import HEADER, dialled_by_elevenlabs, signing_key
from quintet.personas.model import session_key
from quintet.settings import settings
from quintet.sockets.messages import Messages
from quintet.sockets.model import Accepted, Connection, Handshake
from tests.fakes.gateway import FakeGateway, Reply
from tests.fakes.identity import FakeRegistry, FakeTables
from tests.fakes.sockets import FakeConnections, FakePoster
from tests.loops import on_a_loop
from tests.unit.personas.room import Room, calls

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
KEY = "sk_test_key"
CLAIMS: dict[str, Any] = {
    "iss": "https://api.elevenlabs.io/convai/speech-engine",
    "sub": "convai_speech_engine_upstream",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 60,
}
START = {"type": "conversation_initiation_client_data"}


def token(key: str = KEY, **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, signing_key(key), "HS256")


@pytest.mark.parametrize(
    ("shown", "accepted"),
    [
        (token(), True),
        (f"Bearer {token()}", True),
        (token("sk_test_key_residency_eu"), True),
        (token(iat=CLAIMS["iat"] - 100, exp=CLAIMS["iat"] - 50), True),
        (token(exp=CLAIMS["iat"] - 61), False),
        (token(iat=CLAIMS["iat"] + 61), False),
        (token(exp=None), False),
        (token(iat=None), False),
        (token(iss="https://elsewhere.test"), False),
        (token(sub="somebody"), False),
        (token("sk_other"), False),
        (jwt.encode(CLAIMS, "", "none"), False),
        ("", False),
        ("x.y.z", False),
    ],
)
def test_only_elevenlabs_own_token_counts(shown: str, accepted: bool) -> None:
    assert dialled_by_elevenlabs(KEY, shown, NOW) is accepted
    assert not dialled_by_elevenlabs("", shown, NOW)


def test_words_are_handed_on_by_the_sentence() -> None:
    sentences = Sentences()
    told = [piece for word in ("Hi", "! How", " are you", "? It is 3.5", " now. And") for piece in sentences.add(word)]
    assert told == ["Hi! ", "How are you? ", "It is 3.5 now. "]
    assert sentences.rest() == "And"
    long = sentences.add("word " * 100)
    assert all(len(each) <= 240 for each in long)
    assert "".join([*long, sentences.rest()]) == "word " * 100


class Line:
    """A socket over fakes, opened in the agent's role or in the engine's."""

    def __init__(self, gateway: FakeGateway | None = None, *, open_to_all: bool = True) -> None:
        self.room = Room(gateway or FakeGateway())
        self.connections, self.poster = FakeConnections(), FakePoster()
        self.running: list[asyncio.Task[None]] = []
        self.recorded: list[Any] = []
        self.tables = FakeTables()
        door = Door(FakeRegistry(self.tables))
        messages = Messages(door, self._record)
        access = Access(self._key, lambda: open_to_all, lambda address: f"ip#{address}", door.authenticate)
        room = self.room
        self.voices = Voices(
            cast(), room.talk, room.conversations, self.poster, self.connections, messages, access, self._apart
        )

    async def connect(self, *, subprotocol: str = "convai", **headers: str) -> Accepted:
        sent = {"sec-websocket-protocol": subprotocol, **{name.replace("_", "-"): v for name, v in headers.items()}}
        accepted = await self.voices.connect(self.handshake(sent))
        await self.connections.open(
            Connection("c1", "elevenlabs", accepted.principal, NOW, attributes=accepted.attributes)
        )
        return accepted

    def handshake(self, sent: Mapping[str, str] | None = None, **query: str) -> Handshake:
        return Handshake("c1", "elevenlabs", sent or {}, {"agent_id": "maya", **query}, "203.0.113.7", NOW)

    async def says(self, message: Any, *, wait: bool = True) -> None:
        connection = await self.connections.find("c1")
        assert connection is not None
        await self.voices.message(connection, message if isinstance(message, str) else json.dumps(message))
        if wait:
            await self.settled()

    async def kept(self) -> int:
        """In bytes."""
        connection = await self.connections.find("c1")
        assert connection is not None
        return len(json.dumps(connection.attributes, ensure_ascii=False).encode())

    async def settled(self) -> None:
        await asyncio.gather(*self.running)

    def heard(self, kind: str) -> list[Any]:
        return [each for each in self.poster.told("c1") if each["type"] == kind]

    async def _apart(self, work: Coroutine[Any, Any, None]) -> None:
        self.running.append(asyncio.create_task(work))

    async def _key(self) -> str:
        return KEY

    async def _record(self, exchange: Any) -> None:
        self.recorded.append(exchange)


@on_a_loop
async def test_a_client_of_an_agent_holds_a_text_conversation() -> None:
    line = Line()
    assert (await line.connect()).subprotocol == "convai"
    await line.says({"type": "enclave_setup_config"})
    await line.says({**START, "conversation_config_override": {"conversation": {"text_only": True}}})
    await line.says(START)
    first, ping = line.poster.told("c1")
    assert first["type"] == "conversation_initiation_metadata"
    assert first["conversation_initiation_metadata_event"]["agent_output_audio_format"] == "pcm_16000"
    assert "ping_ms" in ping["ping_event"]
    for number in range(2):
        await line.says({"type": "user_message", "text": f"Hello {number}. Well?"})
        await line.says({"type": "pong", "event_id": 1})
    answers = [each["agent_response_event"]["agent_response"] for each in line.heard("agent_response")]
    assert answers == ["Hello 0. Well?", "Hello 1. Well?"]
    parts = [each["text_response_part"] for each in line.heard("agent_chat_response_part")]
    assert [each["type"] for each in parts[:4]] == ["start", "delta", "delta", "stop"]
    assert [len(each.ask.messages) for each in line.room.gateway.asked] == [2, 4]
    assert "You are Maya" in str(line.room.gateway.asked[0].ask.messages[0]["content"])
    assert [each.path for each in line.recorded] == ["/ws/elevenlabs"] * 2


@on_a_loop
async def test_half_a_surrogate_pair_is_heard_as_a_question_mark() -> None:
    line = Line()
    await line.connect()
    await line.says(START)
    await line.says({"type": "user_message", "text": "Hello \ud83d"})
    assert line.heard("agent_response")[0]["agent_response_event"]["agent_response"] == "Hello ?"


@on_a_loop
async def test_what_the_client_says_at_the_beginning_counts() -> None:
    line = Line()
    await line.connect()
    agent = {"first_message": "Ahoy!", "language": "de", "prompt": {"prompt": "Be a pirate."}}
    variables = {"name": "Ada", "bad": {"x": 1}}
    start = {**START, "conversation_config_override": {"agent": agent}, "dynamic_variables": variables}
    await line.says({**start, "user_id": "ada"})
    await line.says({"type": "contextual_update", "text": "Ada looks at the map."})
    await line.says({"type": "multimodal_message", "text": {"text": "Where?"}})
    assert line.heard("agent_response")[0]["agent_response_event"]["agent_response"] == "Ahoy!"
    told = str(line.room.gateway.asked[0].ask.messages[0]["content"])
    for words in ("Be a pirate.", "'de'", "name: Ada", "Ada looks at the map."):
        assert words in told
    assert line.heard("agent_chat_response_part") == []
    (session,) = (await line.room.conversations.active(line.room.clock.now(), 9, None)).items
    assert session.caller_id == "ada"


@on_a_loop
async def test_speaking_over_an_answer_ends_it_and_says_what_was_heard() -> None:
    line = Line(FakeGateway(lambda ask, _: "One. Two. Three. " * 400 if "Count" in str(ask.messages[-1]) else "Fine."))
    await line.connect()
    await line.says({**START, "text_only": True})
    blocked, speaking = asyncio.Event(), asyncio.Event()
    post = line.poster.post

    async def slow(connection_id: str, payload: str | bytes) -> None:
        await post(connection_id, payload)
        if len(line.poster.posted) > 20:
            speaking.set()
            await blocked.wait()

    line.poster.post = slow  # type: ignore[method-assign]
    await line.says({"type": "user_message", "text": "Count"}, wait=False)
    await speaking.wait()
    await line.says({"type": "user_message", "text": "Stop"}, wait=False)
    line.poster.post = post  # type: ignore[method-assign]
    await line.settled()
    kinds = [each["type"] for each in line.poster.told("c1")]
    assert kinds.index("interruption") < kinds.index("agent_response_correction") < kinds.index("agent_response")
    after = line.poster.told("c1")[kinds.index("interruption") + 2 :]
    parts = [each["text_response_part"]["type"] for each in after if each["type"] == "agent_chat_response_part"]
    assert parts == ["start", "delta", "stop"]  # the new answer begins when the old one is over
    (correction,) = line.heard("agent_response_correction")
    corrected = correction["agent_response_correction_event"]["corrected_agent_response"]
    assert corrected.startswith("One. Two.")
    (answer,) = line.heard("agent_response")
    assert answer["agent_response_event"]["agent_response"] == "Fine."
    said = [str(each["content"]) for each in line.room.gateway.asked[-1].ask.messages[1:]]
    assert (said[0], said[-1], len(said)) == ("Count", "Stop", 3)
    assert line.room.gateway.cancelled


@on_a_loop
async def test_nothing_is_corrected_that_was_not_said() -> None:
    line = Line()
    accepted = await line.connect()
    await line.says({**START, "text_only": True})
    key = session_key("", accepted.attributes["caller"], "maya")
    async with line.room.talk.floor.held(key):
        await line.says({"type": "user_message", "text": "One"}, wait=False)
        await line.says({"type": "user_message", "text": "Two"}, wait=False)
        await line.running[0]  # it notices that it has been overtaken
    await line.settled()
    assert line.heard("interruption") == line.heard("agent_response_correction") == []
    (answer,) = line.heard("agent_response")
    assert answer["agent_response_event"]["event_id"] == 2


@on_a_loop
async def test_a_connection_keeps_no_more_than_its_row_holds() -> None:
    line = Line(FakeGateway(lambda *_: calls(("show_map", "{}"), ("show_map", "{}"))))
    accepted = await line.connect()
    tools = [
        {"type": "function", "function": {"name": f"t{n}", "description": "ü" * 9_000, "parameters": {}}}
        for n in range(9)
    ]
    await line.says({**START, "custom_llm_extra_body": {"tools": tools}})
    for _ in range(40):
        await line.says({"type": "contextual_update", "text": "ü" * 9_000})
    async with line.room.talk.floor.held(session_key("", accepted.attributes["caller"], "maya")):
        for _ in range(6):
            await line.says({"type": "user_message", "text": "ü" * 45_000}, wait=False)
        assert await line.kept() < 400_000
    await line.settled()
    for number in range(2):
        result = {"type": "client_tool_result", "tool_call_id": f"call_{number}", "result": "ü" * 60_000}
        await line.says(result)
        assert await line.kept() < 400_000
    results = [each for each in line.room.gateway.asked[-1].ask.messages if each["role"] == "tool"]
    assert [len(str(each["content"])) for each in results] == [25_000, 25_000]


@on_a_loop
async def test_a_microphone_is_told_once_that_nobody_hears_it() -> None:
    line = Line()
    await line.connect()
    await line.says(START)
    for _ in range(3):
        await line.says({"user_audio_chunk": "AAAA"})
    (told,) = line.heard("error")
    assert told["error_event"]["error_type"] == "audio_not_supported"
    assert line.poster.closed == []


@on_a_loop
async def test_a_clients_own_tools_are_called_there_and_their_results_go_on() -> None:
    replies = iter([calls(("show_map", '{"city": "Oslo"}')), Choice("Here it is.")])
    line = Line(FakeGateway(lambda *_: next(replies)))
    await line.connect()
    tool = {"type": "function", "function": {"name": "show_map", "parameters": {"type": "object"}}}
    await line.says({**START, "custom_llm_extra_body": {"tools": [tool]}})
    await line.says({"type": "user_message", "text": "Where is Oslo?"})
    (call,) = line.heard("client_tool_call")
    assert call["client_tool_call"]["parameters"] == {"city": "Oslo"}
    identifier = call["client_tool_call"]["tool_call_id"]
    await line.says({"type": "client_tool_result", "tool_call_id": "other", "result": "x"})
    await line.says({"type": "client_tool_result", "tool_call_id": identifier, "result": "shown", "is_error": False})
    (answer,) = line.heard("agent_response")
    assert answer["agent_response_event"]["agent_response"] == "Here it is."
    assert [each["role"] for each in line.room.gateway.asked[-1].ask.messages[1:]] == ["user", "assistant", "tool"]


@on_a_loop
async def test_the_speech_engine_repeats_everything_and_gets_sentences() -> None:
    line = Line(open_to_all=False)
    await line.connect(subprotocol="", **{HEADER.replace("-", "_"): token()})
    await line.says({"type": "init", "conversation_id": "conv_9"})
    await line.says({"type": "ping"})
    assert line.poster.told("c1") == [{"type": "pong"}]
    first = [{"role": "user", "content": "Hi. Who are you?"}]
    await line.says({"type": "user_transcript", "user_transcript": first, "event_id": 1})
    await line.says({"type": "user_transcript", "user_transcript": first, "event_id": 1})
    chunks = line.heard("agent_response")
    assert [(each["content"], each["is_final"]) for each in chunks] == [
        ("Hi. ", False),
        ("Who are you?", False),
        ("", True),
    ]
    again = [*first, {"role": "agent", "content": "Hi. Who are you?"}, {"role": "user", "content": "Ada"}]
    await line.says({"type": "user_transcript", "user_transcript": again, "event_id": 2})
    assert [str(each["content"]) for each in line.room.gateway.asked[-1].ask.messages[1:]] == [
        "Hi. Who are you?",
        "Hi. Who are you?",
        "Ada",
    ]
    assert {each.payer.principal for each in line.room.gateway.asked} == {"persona-elevenlabs"}
    await line.says({"type": "close"})
    assert line.poster.closed == ["c1"]


@pytest.mark.parametrize("named", ["🎉", "x\r\ny", "x" * 129, "", 5, None])
def test_a_conversations_name_that_is_none_is_not_taken(named: object) -> None:
    @on_a_loop
    async def test() -> None:
        line = Line()
        await line.connect()
        await line.says({"type": "init", "conversation_id": named})
        await line.says(
            {"type": "user_transcript", "user_transcript": [{"role": "user", "content": "Hi."}], "event_id": 1}
        )
        (session,) = (await line.room.conversations.active(line.room.clock.now(), 9, None)).items
        assert session.caller_id.startswith("conv_")

    test()


@pytest.mark.parametrize(
    "headers", [{}, {HEADER.replace("-", "_"): "x.y.z"}, {HEADER.replace("-", "_"): token("sk_no")}]
)
def test_nobody_comes_in_without_a_name(headers: dict[str, str]) -> None:
    @on_a_loop
    async def test() -> None:
        with pytest.raises(Failure) as refused:
            await Line(open_to_all=False).connect(**headers)
        assert refused.value.kind is Kind.UNAUTHENTICATED

    test()


@on_a_loop
async def test_what_is_no_message_is_told_and_ends_the_conversation() -> None:
    for message in ("hello", "[1]", "{", "[" * 10_000):
        line = Line()
        await line.connect()
        await line.says(message)
        assert line.heard("error")[0]["error_event"]["code"] == 1008
        assert line.poster.closed == ["c1"]
    line = Line()
    await line.connect()
    await line.says(START)
    for odd in ({}, {"type": "feedback"}, {"type": 3}, {"type": "user_transcript"}, {"type": "client_tool_result"}):
        await line.says(odd)
    assert line.heard("error") == []
    await line.says({"type": "user_message", "text": ""})
    assert line.heard("error")[0]["error_event"]["error_type"] == "invalid_message"


@on_a_loop
async def test_a_model_that_fails_is_told_and_the_conversation_goes_on() -> None:
    replies: Iterator[Reply] = iter([Failure(Kind.UPSTREAM, "all providers failed"), "Here."])
    line = Line(FakeGateway(lambda *_: next(replies)))
    await line.connect()
    await line.says(START)
    for _ in range(2):
        await line.says({"type": "user_message", "text": "Hello?"})
    assert line.heard("error")[0]["error_event"]["error_type"] == "custom_llm_error"
    assert line.heard("agent_response")[0]["agent_response_event"]["agent_response"] == "Here."


@on_a_loop
async def test_hanging_up_ends_the_session() -> None:
    line = Line()
    await line.connect()
    await line.says(START)
    await line.says({"type": "user_message", "text": "Bye"})
    connection = await line.connections.find("c1")
    assert connection is not None
    await line.voices.disconnect(connection)
    assert await line.room.conversations.count(line.room.clock.now()) == 0


@on_a_loop
async def test_a_signed_url_lets_its_bearer_in_and_a_forged_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "s" * 32)
    settings.cache_clear()
    line = Line(open_to_all=True)
    caller = Principal("ann", PrincipalKind.SERVICE, "service#ann", frozenset({"use_personas", "create_task"}))
    now = datetime.now(UTC)  # PyJWT looks at no other clock
    token = keyring().sign(minted(caller, caller.id, timedelta(minutes=15), now, scopes=["use_personas"]), now)
    accepted = await line.voices.connect(line.handshake(token=token))
    assert accepted.principal is not None
    assert (accepted.principal.id, accepted.principal.permissions) == ("ann", frozenset({"use_personas"}))
    for forged in (token[:-4] + "AAAA", "x", "a.b.c"):
        with pytest.raises(Failure) as refused:
            await line.voices.connect(line.handshake(token=forged))
        assert refused.value.kind is Kind.UNAUTHENTICATED
    settings.cache_clear()
