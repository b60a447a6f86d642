"""The nouns of a model call, pure: what is asked, who pays, on what terms, and what comes of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

NANO = 1_000_000_000  # nano-USD in a USD: money is an integer everywhere inside

Message = Mapping[str, Any]
"""A message in OpenAI's shape: role, content (text, or a list of parts), tool_calls, tool_call_id."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a model is asked, in OpenAI's words; adapters translate.

    `extra` holds what only some vendors take (n, logprobs, penalties, ...): a model that cannot do it refuses.
    """

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = None
    response_format: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """How the model is to be chosen. None takes the routing defaults in force.

    `model` names the one to use (an id or an alias): nothing is routed, only its own failures fall over to nobody.
    `hint` is tried first and routing goes on from there. Money is in nano-USD.
    """

    mode: str | None = None
    max_budget: int | None = None
    max_latency_ms: int | None = None
    min_weight: float | None = None
    capabilities: frozenset[str] = frozenset()
    estimated_input_tokens: int | None = None
    model: str | None = None
    hint: str | None = None
    avoid: frozenset[str] = frozenset()  # models that must not be chosen while another is eligible


@dataclass(frozen=True, slots=True)
class Payer:
    """For whom a call is made: every budget whose scope fits one of these bounds it.

    `account` and `rev` are the principal's; `confirm` is the exchange's: it is awaited when the account turns out to
    have changed, and answers the caller's present revision or raises what to say.
    """

    principal: str
    account: str
    rev: int | None = None
    key_id: str | None = None
    task: str | None = None
    session: str | None = None
    confirm: Callable[[], Awaitable[int | None]] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `known` is False where the vendor did not say: the figures are then the bound that was reserved."""

    input: int = 0
    output: int = 0
    cached: int = 0  # of the input
    cache_written: int = 0  # of the input
    reasoning: int = 0  # of the output
    known: bool = True

    @property
    def total(self) -> int:
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed answer. A tool call's first piece has its id and name, all have its index.

    `choice` is 0 unless several answers were asked for.
    """

    text: str = ""
    tool_index: int | None = None
    tool_id: str | None = None
    tool_name: str | None = None
    tool_arguments: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    choice: int = 0
    logprobs: Any = None


@dataclass(frozen=True, slots=True)
class Choice:
    """`finish_reason` is OpenAI's: stop, length, tool_calls, content_filter."""

    content: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    refusal: str | None = None
    logprobs: Any = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What came of a call. `call_id` names it in the request log and the ledger. Money is in nano-USD."""

    call_id: str
    model: str  # the catalogue's id, e.g. `gpt-4o`, or `builtin/echo`
    provider: str
    choices: tuple[Choice, ...]
    usage: Usage
    estimated: int
    cost: int
    reason: str  # `context>64k;min_weight=6`
    latency_ms: float
    first_token_ms: float | None = None
    raw: Any = None  # the vendor's own answer, where it was one piece

    @property
    def content(self) -> str:
        return self.choices[0].content or ""

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return self.choices[0].tool_calls

    @property
    def finish_reason(self) -> str:
        return self.choices[0].finish_reason


class Journal(Protocol):
    """Where the record of a call goes: the request's own record, or one that a background worker writes."""

    def note(self, call: Mapping[str, Any], /) -> None:
        """Plain values, no prompt, no secret. Called once per call, before its answer is handed on."""
        ...

    def undecided(self, choice: Mapping[str, Any], /) -> None:
        """A choice after which no model was called: nobody was eligible, or there was no money for anybody."""
        ...


class Stream(Protocol):
    """A streamed answer. Leaving the block it came from cancels the vendor's call and settles what was used."""

    @property
    def model(self) -> str: ...

    @property
    def provider(self) -> str: ...

    @property
    def call_id(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def estimated(self) -> int: ...

    def __aiter__(self) -> AsyncIterator[Delta]:
        """Raises Failure when the vendor breaks off."""
        ...

    @property
    def completion(self) -> Completion:
        """All of it, once the iteration has ended."""
        ...


class Gateway(Protocol):
    """The only way to a model. All methods raise Failure: REJECTED, EXHAUSTED, UPSTREAM, UNAVAILABLE, TIMEOUT, ..."""

    async def complete(
        self, ask: Ask, terms: Terms, payer: Payer, journal: Journal, /, *, call_id: str | None = None
    ) -> Completion:
        """`call_id` makes a repeated call harmless: a second one under the same id is never charged twice."""
        ...

    def stream(
        self, ask: Ask, terms: Terms, payer: Payer, journal: Journal, /, *, call_id: str | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        """Entering it chooses, reserves and connects: failures before the first token are raised there."""
        ...
