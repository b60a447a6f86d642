"""A model asked by its own name, or chosen for the question: no persona, no session, nothing kept."""

from dataclasses import dataclass

from quintet.errors import Failure
from quintet.gateway.model import Delta, Gateway, Journal, Payer, Terms
from quintet.personas.chat.request import ChatRequest
from quintet.personas.pump import Emit, Pump
from quintet.personas.refusals import as_asked
from quintet.personas.talk import Outcome, Turn


@dataclass(frozen=True, slots=True)
class Direct:
    gateway: Gateway

    def begin(self, model: str | None, request: ChatRequest, payer: Payer, journal: Journal) -> Turn:
        """Without a model the gateway chooses. Must be closed."""
        turn = Turn()

        async def speak(emit: Emit[Delta]) -> None:
            ended = set()
            async with self.gateway.stream(request.ask, Terms(model=model), payer, journal) as pieces:
                turn.model = pieces.model
                async for delta in pieces:
                    if delta.finish_reason is not None:
                        ended.add(delta.choice)
                    await emit(delta)
                completion = pieces.completion
            turn.told = Outcome(completion.model, completion.choices, completion.usage)
            for number, choice in enumerate(completion.choices):
                if number not in ended:
                    await emit(Delta(finish_reason=choice.finish_reason, choice=number))

        async def spoken(emit: Emit[Delta]) -> None:
            try:
                await speak(emit)
            except Failure as failure:
                raise as_asked(failure) from failure

        turn.pump = Pump(spoken)
        return turn

    async def complete(self, model: str | None, request: ChatRequest, payer: Payer, journal: Journal) -> Outcome:
        try:
            completion = await self.gateway.complete(request.ask, Terms(model=model), payer, journal)
        except Failure as failure:
            raise as_asked(failure) from failure
        return Outcome(completion.model, completion.choices, completion.usage)
