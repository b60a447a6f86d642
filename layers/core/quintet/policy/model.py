"""The nouns: an agent between two steps, and what a step answers."""

import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from quintet.errors import Failure, Kind, invalid

DEFAULT_AGENT = "default"  # exists before anybody has called for it
LONGEST_ID = 128
MOST_SEED = 2**53 - 1  # what every JSON reader keeps exact

Action = int | list[float]
T = TypeVar("T")


class Ref(NamedTuple):
    """A policy by name and version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @classmethod
    def read(cls, text: str) -> "Ref":
        name, _, version = text.partition("@")
        return cls(name, version)


class Wanted(NamedTuple):
    """What a caller says of the policy; None leaves it to the agent, or to the stack for an agent without one."""

    name: str | None = None
    version: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None or self.version is not None

    def fits(self, ref: Ref) -> bool:
        return self.name in {None, ref.name} and self.version in {None, ref.version}


ANY = Wanted()


class Agent(NamedTuple):
    """`life` begins anew with a reset and `version` counts the steps since: together they name this very state.

    `mark` is the write that made it. `state` is float32, little-endian, hidden before memory.
    """

    ref: Ref
    digest: str
    life: str
    version: int
    state: bytes
    mark: str
    born_at: datetime
    at: datetime
    expires_at: datetime
    seed: int | None = None  # of its last step, if that was drawn


class Choice(NamedTuple):
    action: Action
    value: float
    log_prob: float


class Step(NamedTuple):
    """What one step answers, and what its record should tell."""

    action: Action
    value: float
    log_prob: float
    pressure: float
    version: int
    seed: int | None


class Change(NamedTuple):
    """From one state to the next; None before says that there is no agent yet."""

    key: str
    before: Agent | None
    after: Agent


class Lost(Exception):  # noqa: N818 - an outcome: somebody else was first
    """`now` is what there is under the keys that were not written. None of it happened to them."""

    def __init__(self, now: "dict[str, Agent | None]") -> None:
        super().__init__("another step was first")
        self.now = now


class NamedStep(NamedTuple):
    """A step that its caller may send again; `fingerprint` says what was asked."""

    id: str
    fingerprint: str
    answer: dict[str, Any]


class Taken(Exception):  # noqa: N818 - an outcome
    """A step of this name has been taken: what was asked, and what was answered."""

    def __init__(self, fingerprint: str, answer: dict[str, Any]) -> None:
        super().__init__("the step has been taken")
        self.fingerprint = fingerprint
        self.answer = answer


class Handle(NamedTuple):
    """How to take hold of an agent: `from_start` says that it exists before anybody has called for it."""

    key: str
    agent_id: str
    keep: timedelta  # how long it may idle
    from_start: bool = False


@dataclass(slots=True)
class Spent:
    """Seconds, for the request's record."""

    graph: float = 0.0
    store: float = 0.0

    async def storing(self, work: Awaitable[T]) -> T:
        began = time.perf_counter()
        try:
            return await work
        finally:
            self.store += time.perf_counter() - began


class Order(NamedTuple):
    """`seed` None draws one; a deterministic step needs none."""

    deterministic: bool
    seed: int | None = None
    wanted: Wanted = ANY


def agent_key(account: str, agent_id: str) -> str:
    """An agent is its caller's own: nobody steps, reads or resets another account's.

    An account may hold any character; what follows the last slash is the agent's id, which has none.
    """
    return f"{account}/{agent_id}"


def connection_key(connection_id: str) -> str:
    """No account's name begins like this."""
    return f"socket#{connection_id}"


def checked_id(text: str, field: str = "agent_id") -> str:
    """Raises Failure for what could not stand in a path, a key or a line of a log."""
    if not 0 < len(text) <= LONGEST_ID or not text.isprintable() or "/" in text or text.isspace():
        raise invalid(field, f"Must be 1 to {LONGEST_ID} printable characters without a slash")
    return text


def unknown(agent_id: str, kind: Kind = Kind.REJECTED) -> Failure:
    return Failure(kind, f"Agent '{agent_id}' not initialized. Call /reset first.", details={"agent_id": agent_id})


def random_mark(entropy: bytes) -> str:
    return urlsafe_b64encode(entropy).decode().rstrip("=")


def fingerprint(observation: bytes, deterministic: bool, seed: int | None) -> str:
    """What makes two steps the same request."""
    return hashlib.sha256(b"%b|%d|%d" % (observation, deterministic, -1 if seed is None else seed)).hexdigest()[:32]
