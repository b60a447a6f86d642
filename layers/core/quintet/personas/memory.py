"""What stays of conversations: summaries of what was said long ago, and of calls that are over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from quintet.gateway.model import Ask, Gateway, Journal, Message, Payer, Terms
from quintet.personas import history, prompts
from quintet.personas.cast import Cast
from quintet.personas.floor import Floor
from quintet.personas.model import MEMORY, Metrics, Note, Persona
from quintet.personas.ports import Conversations, Notebook
from quintet.store.clock import Clock, millis

_SUMMARY_TOKENS = 300
_SUMMARY = 4_000  # characters


def memory_page(scope: str, caller_id: str) -> str:
    return f"memory#{scope}#{caller_id}"


@dataclass(frozen=True, slots=True)
class Memory:
    cast: Cast
    gateway: Gateway
    conversations: Conversations
    notebook: Notebook
    floor: Floor
    clock: Clock

    async def fold(self, key: str, payer: Payer, journal: Journal) -> bool:
        """Puts a session's oldest turns into its summary. False when there is nothing to put there any more."""
        session = await self.conversations.get(key)
        persona = self.cast.find(session.agent) if session else None
        if session is None or persona is None:
            return False
        old, _ = history.to_fold(session.messages)
        if not old:
            return False
        summary, metrics = await self._summed_up(persona, session.summary, old, payer, journal)
        async with self.floor.held(key) as held:
            now = held.session
            if now is None or now.messages[: len(old)] != tuple(old):
                return False  # somebody else has done it, or it is another conversation by now
            after = replace(now, summary=summary, messages=now.messages[len(old) :])
            return await self.conversations.commit(held.turn, after, metrics)

    async def remember(
        self,
        scope: str,
        caller_id: str,
        agent: str,
        call_id: str,
        *,
        summary: str,
        transcript: str,
        payer: Payer,
        journal: Journal,
    ) -> None:
        """Of a call that is over, for a week."""
        persona = self.cast.find(agent) or self.cast.first
        if not summary:
            told: list[Message] = [{"role": "user", "content": transcript}]
            summary, _ = await self._summed_up(persona, "", told, payer, journal)
        now = self.clock.now()
        day = f"{now:%Y-%m-%d}"
        note = Note(f"{millis(now):015d}_{call_id}", "memory", f"Call on {day}: {summary}"[:_SUMMARY], now)
        await self.notebook.write(memory_page(scope, caller_id), note, now + MEMORY)

    async def _summed_up(
        self, persona: Persona, before: str, messages: Sequence[Message], payer: Payer, journal: Journal
    ) -> tuple[str, Metrics]:
        said = history.transcript(messages, persona.name)
        ask = Ask(prompts.to_summarise(persona, before, said), max_tokens=_SUMMARY_TOKENS, temperature=0)
        completion = await self.gateway.complete(ask, Terms(mode="cheap"), payer, journal)
        return completion.content.strip()[:_SUMMARY], Metrics.of(completion)
