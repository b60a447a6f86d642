"""The room over fakes: a persona to talk to, and a clock that a test owns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from quintet.gateway.model import Choice, Payer, ToolCall
from quintet.personas.cast import cast
from quintet.personas.chat.request import ChatRequest, chat_request
from quintet.personas.doing import Doing, Line
from quintet.personas.floor import Floor
from quintet.personas.model import Process, Session
from quintet.personas.talk import Outcome, Talk, Turn
from quintet.personas.tools.box import Toolbox
from quintet.personas.tools.own import own_tools
from quintet.personas.tools.team import team_tools
from tests.fakes.gateway import FakeGateway, FakeJournal
from tests.fakes.personas import FakeConversations, FakeInbox, FakeNotebook, FakeProcesses

PAYER = Payer("p", "ip#1")


class OwnClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def passes(self, **much: float) -> None:
        self.time += timedelta(**much)


class FakeDesk:
    def __init__(self) -> None:
        self.created: list[tuple[str, str]] = []

    async def create(self, title: str, description: str, _doing: Doing) -> str:
        self.created.append((title, description))
        return f"task_{len(self.created)}"


@dataclass
class Room:
    gateway: FakeGateway = field(default_factory=FakeGateway)
    patience: float = 5.0
    processes: FakeProcesses = field(default_factory=FakeProcesses)
    notebook: FakeNotebook = field(default_factory=FakeNotebook)
    inbox: FakeInbox = field(default_factory=FakeInbox)
    clock: OwnClock = field(default_factory=OwnClock)
    journal: FakeJournal = field(default_factory=FakeJournal)

    def __post_init__(self) -> None:
        self.conversations = FakeConversations(self.processes)
        self.tasks = FakeDesk()
        team = team_tools(cast(), self.gateway, self.processes, self.clock, self.tasks)
        tools = [*own_tools(self.notebook, self.clock), *team]
        self.talk = Talk(
            self.gateway,
            self.conversations,
            self.notebook,
            self.inbox,
            Toolbox(tools),
            self.clock,
            Floor(self.conversations, self.clock, self.patience),
        )

    def begin(self, said: str | Sequence[Any], caller: str = "+1", **more: Any) -> Turn:
        return self.talk.begin(self.line(caller), asked(said, **more), PAYER, self.journal)

    async def say(self, said: str | Sequence[Any], caller: str = "+1", **more: Any) -> Outcome:
        async with self.begin(said, caller, **more) as turn:
            return await turn.whole()

    def line(self, caller: str = "+1") -> Line:
        return Line(cast().first, caller)

    async def session(self, caller: str = "+1") -> Session:
        session = await self.conversations.get(self.line(caller).key)
        assert session is not None
        return session

    async def process(self, caller: str = "+1") -> Process:
        return self.processes.rows[(await self.session(caller)).process_id]


def asked(said: str | Sequence[Any], **more: Any) -> ChatRequest:
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else list(said)
    return chat_request({"messages": messages, **more})


def calls(*named: tuple[str, str], text: str | None = None) -> Choice:
    made = tuple(ToolCall(f"call_{n}", name, arguments) for n, (name, arguments) in enumerate(named))
    return Choice(text, made, "tool_calls")
