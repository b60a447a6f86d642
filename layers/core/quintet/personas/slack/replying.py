"""Answers a mention: once, by the persona that it is meant for, in its thread."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from quintet.errors import Failure, Kind
from quintet.gateway.model import Ask, Journal, Payer
from quintet.personas.cast import Cast
from quintet.personas.chat.request import ChatRequest
from quintet.personas.doing import Line
from quintet.personas.model import Persona
from quintet.personas.ports import Calls, Marks
from quintet.personas.slack.events import Mention, escaped, words_of
from quintet.personas.talk import Talk
from quintet.store.clock import Clock

_REMEMBERED = timedelta(hours=24)
_CLAIMED = timedelta(minutes=3)  # so long an answer may take, before another instance may try
_CHANNEL = "quintet-"
_LONGEST = 3_900  # characters: Slack cuts what is longer than 4,000
_SCOPE = "slack"

log = logging.getLogger("quintet.personas")


class Slack(Protocol):
    async def post(self, channel: str, text: str, thread: str = "", /) -> None: ...

    async def channel_name(self, channel: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Replying:
    cast: Cast
    talk: Talk
    slack: Slack
    marks: Marks
    drafts: Calls
    clock: Clock

    async def reply(self, mention: Mention, payer: Payer, journal: Journal) -> bool:
        """Whether this call answered. What fails may be told again: the answer is made once, and posted until it is."""
        claimed: list[str] = []
        now = self.clock.now()
        for mark in mention.marks:
            if not await self.marks.claim(mark, now, now + _CLAIMED, now + _REMEMBERED):
                await self._drop(claimed)
                return False
            claimed.append(mark)
        try:
            text = await self._answer(mention, payer, journal)
            await self.slack.post(mention.channel, escaped(text), mention.thread)
        except Failure as failure:
            if failure.kind is Kind.REJECTED:  # Slack, or every model, will say the same tomorrow
                log.exception("a mention stays unanswered", extra={"event_id": mention.event_id})
                await self._finish(claimed)
                return False
            await self._drop(claimed)
            raise
        except BaseException:
            await self._drop(claimed)
            raise
        await self._finish(claimed)
        return True

    async def _answer(self, mention: Mention, payer: Payer, journal: Journal) -> str:
        draft = f"draft#{mention.marks[0]}"
        known = (await self.drafts.find(draft)).get("text")
        if known is not None:
            return known
        persona, words = await self._addressed(mention)
        line = Line(persona, mention.caller_id, _SCOPE, "slack", "Answer a message on Slack")
        request = ChatRequest(persona.id, Ask([{"role": "user", "content": words}]))
        async with self.talk.begin(line, request, payer, journal) as turn:
            text = ((await turn.whole()).choices[0].content or "…")[:_LONGEST]
        await self.drafts.note(draft, {"text": text}, self.clock.now() + _REMEMBERED)
        return text

    async def _addressed(self, mention: Mention) -> tuple[Persona, str]:
        """Whoever is called by name, else the channel's own persona, else the first."""
        words = words_of(mention.text)
        first, _, rest = words.partition(" ")
        named = self.cast.find(first.strip(",:.!?"))
        if named is not None and rest:
            return named, rest
        channel = "" if mention.direct else await self.slack.channel_name(mention.channel)
        whose = self.cast.find(channel.removeprefix(_CHANNEL)) if channel.startswith(_CHANNEL) else None
        return whose or self.cast.first, words or "Hello"

    async def _drop(self, marks: list[str]) -> None:
        for mark in marks:
            await self.marks.drop(mark)

    async def _finish(self, marks: list[str]) -> None:
        for mark in marks:
            await self.marks.finish(mark)
