"""A gateway that answers by a script, for rooms that call models."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from quintet.errors import Failure
from quintet.gateway.model import Ask, Choice, Completion, Delta, Journal, Payer, Stream, Terms, ToolCall, Usage
from quintet.store.ids import new_id

Reply = str | Choice | Failure
Script = Callable[[Ask, Terms], Reply]


def echo(ask: Ask, _terms: Terms) -> Reply:
    """The last message's text."""
    content = ask.messages[-1].get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


@dataclass(frozen=True, slots=True)
class Asked:
    ask: Ask
    terms: Terms
    payer: Payer
    call_id: str


@dataclass
class FakeGateway:
    """`script` says what is answered, and may raise or return a Failure. `asked` lists the calls."""

    script: Script = echo
    model: str = "builtin/echo"
    asked: list[Asked] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)  # streams that were left before their end
    done: dict[str, Completion] = field(default_factory=dict)

    async def complete(
        self, ask: Ask, terms: Terms, payer: Payer, journal: Journal, /, *, call_id: str | None = None
    ) -> Completion:
        if call_id is not None and call_id in self.done:
            return self.done[call_id]
        choice, call_id = self._choose(ask, terms, payer, call_id)
        completion = self._completion(ask, terms, choice, call_id)
        self.done[call_id] = completion
        journal.note(_record(completion))
        return completion

    @asynccontextmanager
    async def stream(
        self, ask: Ask, terms: Terms, payer: Payer, journal: Journal, /, *, call_id: str | None = None
    ) -> AsyncIterator[Stream]:
        choice, call_id = self._choose(ask, terms, payer, call_id)
        stream = _FakeStream(self._completion(ask, terms, choice, call_id))
        try:
            yield stream
        finally:
            if not stream.ended:
                self.cancelled.append(call_id)
            self.done[call_id] = stream.told
            journal.note(_record(stream.told))

    def _choose(self, ask: Ask, terms: Terms, payer: Payer, call_id: str | None) -> tuple[Choice, str]:
        call_id = call_id or new_id("call", datetime.now(UTC))
        self.asked.append(Asked(ask, terms, payer, call_id))
        reply = self.script(ask, terms)
        if isinstance(reply, Failure):
            raise reply
        return (Choice(reply) if isinstance(reply, str) else reply), call_id

    def _completion(self, ask: Ask, terms: Terms, choice: Choice, call_id: str) -> Completion:
        words = sum(len(str(message.get("content") or "").split()) for message in ask.messages)
        usage = Usage(input=words, output=len((choice.content or "").split()))
        model = terms.model or self.model
        return Completion(
            call_id, model, model.split("/")[0], (choice,), usage, 1000, 10 * usage.total, "mode=normal", 1.0, 0.5
        )


class _FakeStream:
    def __init__(self, told: Completion) -> None:
        self.told = told
        self.ended = False
        self.model, self.provider, self.call_id = told.model, told.provider, told.call_id
        self.reason, self.estimated = told.reason, told.estimated

    @property
    def completion(self) -> Completion:
        assert self.ended, "the stream has not ended"
        return self.told

    async def __aiter__(self) -> AsyncIterator[Delta]:
        choice = self.told.choices[0]
        words = (choice.content or "").split(" ") if choice.content else []
        for index, word in enumerate(words):
            yield Delta(text=word if index == len(words) - 1 else word + " ")
        for index, call in enumerate(choice.tool_calls):
            yield _tool_delta(index, call)
        yield Delta(finish_reason=choice.finish_reason)
        self.ended = True


def _tool_delta(index: int, call: ToolCall) -> Delta:
    return Delta(tool_index=index, tool_id=call.id, tool_name=call.name, tool_arguments=call.arguments)


def _record(completion: Completion) -> Mapping[str, Any]:
    return {
        "call_id": completion.call_id,
        "model": completion.model,
        "provider": completion.provider,
        "input_tokens": completion.usage.input,
        "output_tokens": completion.usage.output,
        "cost": completion.cost,
    }


class FakeJournal:
    def __init__(self) -> None:
        self.calls: list[Mapping[str, Any]] = []
        self.choices: list[Mapping[str, Any]] = []

    def note(self, call: Mapping[str, Any]) -> None:
        self.calls.append(call)

    def undecided(self, choice: Mapping[str, Any]) -> None:
        self.choices.append(choice)
