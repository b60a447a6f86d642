"""The nouns: personas, the callers' sessions with them, and the processes behind both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from quintet.gateway.model import NANO, Completion, Message

IDLE = timedelta(minutes=30)  # a session that is silent as long is over
KEPT_TURNS = 50
MEMORY = timedelta(days=7)


class Activity(StrEnum):
    """In the order in which tron.md lists them."""

    NEWS = "news"
    GOALS = "goals"
    TEAM_CHECK = "team_check"
    REFLECTION = "reflection"
    JOURNAL = "journal"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Persona:
    """`hours` are in the persona's own time zone. `model` is a model's id, or `auto`: the gateway chooses."""

    id: str
    name: str
    title: str
    character: str
    topics: tuple[str, ...]
    timezone: str
    hours: Mapping[Activity, tuple[int, ...]]
    model: str = "auto"
    temperature: float | None = None
    sources: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()
    blocked_words: tuple[str, ...] = ()
    greeting: str = ""


class Status(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Metrics:
    """`cost` is in nano-USD."""

    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    cost: int = 0

    def __add__(self, other: "Metrics") -> "Metrics":
        return Metrics(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.llm_calls + other.llm_calls,
            self.tool_calls + other.tool_calls,
            self.cost + other.cost,
        )

    @property
    def cost_usd(self) -> float:
        return self.cost / NANO

    @classmethod
    def of(cls, completion: Completion) -> "Metrics":
        usage = completion.usage
        return cls(usage.input, usage.output, 1, 0, completion.cost)


@dataclass(frozen=True, slots=True)
class Process:
    """`id` is 8 hexadecimal digits. `active_until` moves on with every turn; a process that it has passed is over."""

    id: str
    agent: str
    name: str
    task: str
    status: Status
    started_at: datetime
    active_until: datetime
    metrics: Metrics = Metrics()
    ended_at: datetime | None = None

    def status_at(self, now: datetime) -> Status:
        """Nobody has to be there to end what has gone idle."""
        going = self.status in (Status.PENDING, Status.RUNNING)
        return Status.COMPLETED if going and now >= self.active_until else self.status

    def lasted(self, now: datetime) -> timedelta:
        return min(now, self.ended_at or self.active_until) - self.started_at


@dataclass(frozen=True, slots=True)
class Session:
    """What a persona and a caller have said. `messages` are OpenAI's; what is older than they are is in `summary`.

    `scope` says to whom the caller's name belongs: two principals may each know a caller of the same name.
    """

    scope: str
    caller_id: str
    agent: str
    process_id: str
    began_at: datetime
    active_until: datetime
    summary: str = ""
    messages: tuple[Message, ...] = ()
    turns: int = 0

    @property
    def key(self) -> str:
        return session_key(self.scope, self.caller_id, self.agent)

    def active_at(self, now: datetime) -> bool:
        return now < self.active_until

    def with_messages(self, messages: Sequence[Message], now: datetime) -> "Session":
        return replace(self, messages=tuple(messages), turns=self.turns + 1, active_until=now + IDLE)


def session_key(scope: str, caller_id: str, agent: str) -> str:
    return f"{scope}|{agent}|{caller_id}"


@dataclass(frozen=True, slots=True)
class Post:
    """What a persona says to everybody."""

    id: str
    persona: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """A line of a persona's journal, of its news, or of what it remembers of a caller."""

    id: str
    kind: str
    text: str
    at: datetime
    more: Mapping[str, Any] = field(default_factory=dict)
