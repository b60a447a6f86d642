"""One turn of a conversation: what the caller says, what the persona does, what it answers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from quintet.errors import Failure, Kind
from quintet.gateway.model import Choice, Delta, Gateway, Journal, Message, Payer, ToolCall, Usage
from quintet.personas import history, prompts
from quintet.personas.chat.messages import legacy_id
from quintet.personas.chat.request import ChatRequest
from quintet.personas.chat.tools import name_of
from quintet.personas.doing import Doing, Line
from quintet.personas.floor import Floor, Held
from quintet.personas.memory import memory_page
from quintet.personas.model import IDLE, Metrics, Session, Status
from quintet.personas.ports import Conversations, Inbox, Notebook, Toolbox
from quintet.personas.processes import begun
from quintet.personas.pump import Emit, Pump
from quintet.personas.refusals import as_asked
from quintet.personas.rounds import Round, total, without
from quintet.store.clock import Clock

MOST_ROUNDS = 8  # of calls to the persona's own tools, within one turn
TURN_SECONDS = 60.0
_CANNOT = frozenset({"no_eligible_models", "unsupported"})  # the gateway's codes for a model that lacks something

log = logging.getLogger("quintet.personas")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`usage` is that of all rounds."""

    model: str
    choices: tuple[Choice, ...]
    usage: Usage


class Turn:
    """An answer as it comes. Leaving the block early cancels it; what was said so far is kept."""

    def __init__(self) -> None:
        self.model = ""
        self.process_id = ""
        self.told: Outcome | None = None
        self.pump: Pump[Delta]

    @property
    def outcome(self) -> Outcome:
        """All of it, once the iteration has ended."""
        assert self.told is not None, "the answer has not ended"
        return self.told

    async def ready(self) -> None:
        """Until it begins. Raises Failure when it does not."""
        await self.pump.ready()

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self.pump

    async def whole(self) -> Outcome:
        async for _ in self:
            pass
        return self.outcome

    async def aclose(self) -> None:
        await self.pump.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@dataclass(frozen=True, slots=True)
class Talk:
    gateway: Gateway
    conversations: Conversations
    notebook: Notebook
    inbox: Inbox
    toolbox: Toolbox
    clock: Clock
    floor: Floor

    def begin(self, line: Line, request: ChatRequest, payer: Payer, journal: Journal) -> Turn:
        """Must be closed: `async with`, or `aclose`."""
        turn = Turn()
        turn.pump = Pump(_Speaking(self, turn, line, request, payer, journal).run)
        return turn

    async def opened(self, line: Line, held: Held, now: datetime) -> Session:
        """The caller's session: the one that goes on, or a new one with what the persona remembers."""
        if held.session is not None and held.session.active_at(now):
            return held.session
        notes = await self.notebook.read(memory_page(line.scope, line.caller_id), 5)
        remembered = "\n".join(note.text for note in reversed(notes))
        for _ in range(3):
            process = begun(line.persona, line.channel, line.task or "Answer a caller", now)
            session = Session(
                line.scope, line.caller_id, line.persona.id, process.id, now, now + IDLE, summary=remembered
            )
            if await self.conversations.open(held.turn, session, process):
                return session
        raise Failure(Kind.UNAVAILABLE, "No process could be started: try again", retry_after=1)


class _Speaking:
    """One turn while it runs."""

    def __init__(
        self, talk: Talk, turn: Turn, line: Line, request: ChatRequest, payer: Payer, journal: Journal
    ) -> None:
        self._talk = talk
        self._turn = turn
        self._line = line
        self._request = request
        self._payer = replace(payer, session=payer.session or line.caller_id)
        self._journal = journal
        self._own = self._own_tools()
        self._said: list[Message] = []  # what this turn adds to the conversation
        self._inner: list[Message] = []  # what the persona asked of its own tools, for this turn alone
        self._heard: list[str] = []  # what went out of an answer that is not whole yet

    async def run(self, emit: Emit[Delta]) -> None:
        async with self._talk.floor.held(self._line.key) as held:
            now = self._talk.clock.now()
            session = await self._talk.opened(self._line, held, now)
            self._turn.process_id = session.process_id
            doing = Doing.within(self._line, TURN_SECONDS, self._payer, self._journal, session.process_id)
            self._said = history.new_messages(session.messages, self._request.messages)
            try:
                last = await self._rounds(session, doing, now, emit)
                await self._keep(held, session, doing)
            except Exception:
                await self._failed(held, session, doing)
                raise
            except BaseException:
                await asyncio.shield(self._cut(held, session, doing))
                raise
        for delta in last:  # the session is free before the caller knows that it has heard all
            await emit(delta)

    async def _rounds(self, session: Session, doing: Doing, now: datetime, emit: Emit[Delta]) -> list[Delta]:
        """Answers the last pieces, for when everything is kept."""
        usage = Usage()
        for number in range(MOST_ROUNDS + 1):
            answer = await self._ask(session, doing, now, emit, last=number == MOST_ROUNDS)
            completion = answer.completion
            usage = total(usage, completion.usage)
            doing.metrics += Metrics.of(completion)
            choice = completion.choices[0]
            mine = [call for call in choice.tool_calls if call.name in answer.own]
            if not mine or len(mine) < len(choice.tool_calls) or number == MOST_ROUNDS:
                theirs = tuple(without(answer.own, each) for each in completion.choices)
                self._said.append(message_of(_spelt(theirs[0]) if self._request.functions else theirs[0]))
                self._turn.told = Outcome(completion.model, theirs, usage)
                return [Delta(finish_reason=each.finish_reason, choice=n) for n, each in enumerate(theirs)]
            self._inner.append(message_of(choice))
            self._inner += await self._use(mine, doing)
        raise AssertionError("the last round returns")

    def _own_tools(self) -> tuple[Mapping[str, Any], ...]:
        """A caller's tool goes before ours of its name; one who demands theirs, or a form, wants none of ours."""
        ask = self._request.ask
        if self._request.several or ask.response_format is not None or ask.tool_choice not in (None, "auto"):
            return ()
        taken = {name_of(tool) for tool in ask.tools}
        return tuple(each for each in self._talk.toolbox.offered(self._line) if name_of(each) not in taken)

    async def _ask(self, session: Session, doing: Doing, now: datetime, emit: Emit[Delta], *, last: bool) -> Round:
        persona, request = self._line.persona, self._request
        known = history.recent(history.mended([*session.messages, *self._said, *self._inner]))
        told = history.instructions(request.messages)
        ask = replace(
            request.ask,
            messages=prompts.conversation(persona, now, session.summary, told, known),
            tools=(*request.ask.tools, *self._own),
            tool_choice="none" if last and self._own else request.ask.tool_choice,
            temperature=persona.temperature if request.ask.temperature is None else request.ask.temperature,
        )
        answer = Round(frozenset(name_of(tool) for tool in self._own))
        try:
            stream = self._talk.gateway.stream(ask, doing.terms(), self._payer, self._journal)
            async with stream as pieces:
                self._turn.model = pieces.model
                async for delta in pieces:
                    passed = answer.take(delta)
                    if passed is not None:
                        self._heard.append(passed.text if passed.choice == 0 else "")
                        await emit(passed)
                answer.completion = pieces.completion
        except Failure as failure:
            if failure.code in _CANNOT and self._own and not request.ask.tools and not self._inner:
                self._own = ()  # a model without tools is a persona without tools, not a silent one
                return await self._ask(session, doing, now, emit, last=last)
            raise as_asked(failure) from failure
        return answer

    async def _use(self, calls: Sequence[ToolCall], doing: Doing) -> list[Message]:
        results: list[Message] = []
        for call in calls:
            doing.metrics += Metrics(tool_calls=1)
            content = await self._talk.toolbox.use(call.name, call.arguments, doing)
            results.append({"role": "tool", "tool_call_id": call.id, "content": content})
        return results

    async def _keep(self, held: Held, session: Session, doing: Doing) -> None:
        before = history.mended([*session.messages, *self._said[:-1]])
        messages = history.kept([*before, *self._said[-1:]])
        after = session.with_messages(messages, self._talk.clock.now())
        if not await self._talk.conversations.commit(held.turn, after, doing.metrics):
            log.warning("a turn ended after its session was another's", extra={"process": session.process_id})
            return
        if history.to_fold(messages)[0]:
            with suppress(Exception):  # the next turn asks again
                await self._talk.inbox.put({"kind": "fold", "session": session.key})

    async def _cut(self, held: Held, session: Session, doing: Doing) -> None:
        """The caller went, or spoke over us: what they heard was said."""
        heard = "".join(self._heard)
        if heard and self._turn.told is None:
            self._said.append({"role": "assistant", "content": heard})
            with suppress(Exception):
                await self._keep(held, session, doing)

    async def _failed(self, held: Held, session: Session, doing: Doing) -> None:
        """The question is not kept: whoever asks again does not ask twice. A process that never answered has failed."""
        with suppress(Exception):
            if session.turns == 0:
                await self._talk.conversations.end(session.key, self._talk.clock.now(), Status.FAILED)
            elif doing.metrics != Metrics():
                await self._talk.conversations.commit(held.turn, session, doing.metrics)


def _spelt(choice: Choice) -> Choice:
    """As a caller knows it who speaks the deprecated form: one call, and no id of its own."""
    return replace(choice, tool_calls=tuple(replace(call, id=legacy_id(call.name)) for call in choice.tool_calls[:1]))


def message_of(choice: Choice) -> Message:
    message: dict[str, Any] = {"role": "assistant", "content": choice.content}
    if choice.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.tool_calls
        ]
    elif choice.content is None:
        message["content"] = choice.refusal or ""
    return message
