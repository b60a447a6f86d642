"""A streamed answer on its way: passed on as it comes, cut when the money is used up, settled however it ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

from quintet.gateway.calls import Attempt, Call, Outcome
from quintet.gateway.failures import broke_off
from quintet.gateway.model import Choice, Completion, Delta, ToolCall, Usage
from quintet.gateway.providers.model import Fault, ProviderFault

_SLACK_PIECES = 16
_MOST_BYTES_A_TOKEN = 16  # longer ones are rare: a vendor that sends so much has left the bound behind
_AHEAD = 64  # tokens that a vendor may have made when we hung up, and that we never saw


async def opened(attempt: Attempt, call: Call) -> "LiveStream":
    """Connected, with the first piece there. Raises ProviderFault."""
    held = AsyncExitStack()
    try:
        pieces = await held.enter_async_context(
            attempt.adapter.stream(attempt.bound.ask, attempt.target, attempt.seconds)
        )
        early: list[Delta | Usage] = []
        while not any(map(_says_something, early)):
            early.append(await anext(pieces))
    except StopAsyncIteration:
        await held.aclose()
        raise ProviderFault(Fault.MALFORMED, "the stream ended before its first piece", charged=True) from None
    except BaseException:
        await held.aclose()
        raise
    return LiveStream(attempt, call, held, pieces, early)


def _says_something(piece: Delta | Usage) -> bool:
    return isinstance(piece, Delta) and bool(
        piece.text or piece.refusal or piece.finish_reason or piece.tool_index is not None
    )


class LiveStream:
    def __init__(
        self,
        attempt: Attempt,
        call: Call,
        held: AsyncExitStack,
        pieces: AsyncIterator[Delta | Usage],
        early: list[Delta | Usage],
    ) -> None:
        self._attempt = attempt
        self._call = call
        self._held = held
        self._pieces = pieces
        self._early = early
        self._first_token_ms = (time.perf_counter() - call.order.began) * 1000
        self._answers = Answers()
        self._usage: Usage | None = None
        self._pieces_seen = 0
        self._done: Completion | None = None
        self._settled = False

    @property
    def model(self) -> str:
        return self._attempt.model.id

    @property
    def provider(self) -> str:
        return self._attempt.provider.id

    @property
    def call_id(self) -> str:
        return self._call.order.call_id

    @property
    def reason(self) -> str:
        return self._call.reason

    @property
    def estimated(self) -> int:
        return self._call.estimated(self._attempt.model)

    @property
    def completion(self) -> Completion:
        assert self._done is not None, "the stream has not ended"
        return self._done

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self._run()

    async def _run(self) -> AsyncIterator[Delta]:
        try:
            async for delta in self._deltas():
                self._answers.add(delta)
                yield delta
                if self._exhausted(delta):
                    yield self._cut()
                    break
        except ProviderFault as fault:
            await self._call.broke(self._attempt, fault)
            outcome = self._call.used(self._attempt, self._usage)
            await self._settle(replace(outcome, status="error", failure=fault.fault.value))
            raise broke_off(self.model, fault) from None
        await self._end()

    async def _deltas(self) -> AsyncIterator[Delta]:
        while True:
            if self._early:
                piece = self._early.pop(0)
            else:
                try:
                    piece = await anext(self._pieces)
                except StopAsyncIteration:
                    return
            if isinstance(piece, Usage):
                self._usage = piece
            else:
                yield piece

    def _exhausted(self, delta: Delta) -> bool:
        """Whether the vendor goes on beyond what the reservation covers."""
        if delta.text or delta.tool_arguments or delta.refusal:
            self._pieces_seen += 1
        most = self._attempt.bound.output
        return self._pieces_seen > most + _SLACK_PIECES or self._answers.bytes > _MOST_BYTES_A_TOKEN * most + 256

    def _cut(self) -> Delta:
        end = Delta(finish_reason="length")
        self._answers.add(end)
        return end

    async def _end(self) -> None:
        cut = self._exhausted(Delta())
        outcome = self._call.used(self._attempt, None if cut else self._usage)
        if cut:
            outcome = replace(outcome, status="cut", failure="reservation_exhausted")
        await self._settle(outcome)

    async def close(self) -> None:
        """Hangs up, and settles what was used if nobody read on to the end."""
        try:
            await self._held.aclose()
        finally:
            if not self._settled:
                await self._settle(self._left_early())

    def _left_early(self) -> Outcome:
        """What we have seen, and what may have been on its way: the vendor has told nothing of it yet."""
        bound = self._attempt.bound
        if self._usage is not None and self._usage.output:
            return replace(self._call.used(self._attempt, self._usage), status="cut", failure="cancelled")
        output = min(bound.output, self._answers.bytes + _AHEAD)
        usage = Usage(self._usage.input if self._usage else bound.input, output, known=False)
        cost = min(bound.cost, self._attempt.model.price.most_of(usage.input, output))
        return Outcome("cut", usage, cost, "cancelled")

    async def _settle(self, outcome: Outcome) -> None:
        self._settled = True
        outcome = replace(outcome, first_token_ms=self._first_token_ms)
        self._done = self._call.completion(self._attempt, self._answers.choices(), outcome, None)
        await asyncio.shield(self._call.settle(self._attempt, outcome))


class Answers:
    """The choices as they grow out of deltas."""

    def __init__(self) -> None:
        self.bytes = 0
        self._texts: dict[int, list[str]] = {}
        self._refusals: dict[int, list[str]] = {}
        self._calls: dict[int, dict[int, list[str]]] = {}  # id, name, then pieces of the arguments
        self._ends: dict[int, str] = {}

    def add(self, delta: Delta) -> None:
        self.bytes += len((delta.text + delta.refusal + delta.tool_arguments).encode(errors="replace"))
        texts = self._texts.setdefault(delta.choice, [])
        if delta.text:
            texts.append(delta.text)
        if delta.refusal:
            self._refusals.setdefault(delta.choice, []).append(delta.refusal)
        if delta.tool_index is not None:
            call = self._calls.setdefault(delta.choice, {}).setdefault(delta.tool_index, ["", ""])
            call[0] = call[0] or delta.tool_id or ""
            call[1] = call[1] or delta.tool_name or ""
            call.append(delta.tool_arguments)
        if delta.finish_reason:
            self._ends[delta.choice] = delta.finish_reason

    def choices(self) -> tuple[Choice, ...]:
        return tuple(self._choice(index) for index in sorted(self._texts)) or (Choice(""),)

    def _choice(self, index: int) -> Choice:
        calls = tuple(
            ToolCall(id, name, "".join(arguments))
            for _, (id, name, *arguments) in sorted(self._calls.get(index, {}).items())  # noqa: A001
        )
        text = "".join(self._texts[index])
        refusal = "".join(self._refusals.get(index, ()))
        return Choice(text or (None if calls else ""), calls, self._ends.get(index, "stop"), refusal or None)
