"""How an answer is said: to a client that shows an agent, and to the Speech Engine that speaks it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from quintet.personas.elevenlabs import frames
from quintet.personas.elevenlabs.sentences import Sentences
from quintet.personas.talk import Turn

Tell = Callable[[Mapping[str, Any]], Awaitable[None]]


class Voice(Protocol):
    async def say(self, turn: Turn, /) -> list[str]:
        """All of it; answers the ids of the calls that the client has to make before the persona can go on."""
        ...

    async def interrupted(self) -> None:
        """The caller speaks over what was said so far."""
        ...


class AgentVoice:
    """Parts as they come where the client shows text, then the whole."""

    def __init__(self, tell: Tell, event_id: int, in_parts: bool) -> None:
        self._tell = tell
        self._event_id = event_id
        self._in_parts = in_parts
        self._begun = False
        self._said = ""

    async def say(self, turn: Turn) -> list[str]:
        sentences = Sentences()
        await turn.ready()  # what it speaks over has been told to be over
        self._begun = True
        await self._part("start", "")
        async for delta in turn:
            if delta.choice == 0:
                for sentence in sentences.add(delta.text):
                    await self._part("delta", sentence)
        await self._part("delta", sentences.rest())
        await self._part("stop", "")
        choice = turn.outcome.choices[0]
        if choice.content or not choice.tool_calls:
            await self._tell(frames.answer(choice.content or "", self._event_id))
        for call in choice.tool_calls:
            await self._tell(frames.tool_call(call.name, call.id, _parameters(call.arguments), self._event_id))
        return [call.id for call in choice.tool_calls]

    async def interrupted(self) -> None:
        if self._begun:
            for told in frames.interrupted(self._said.strip(), self._event_id):
                await self._tell(told)

    async def _part(self, kind: str, text: str) -> None:
        self._said += text
        if self._in_parts and (text or kind != "delta"):
            await self._tell(frames.part(kind, text, self._event_id))


class EngineVoice:
    """Sentence by sentence, and an end that says so."""

    def __init__(self, tell: Tell, event_id: int) -> None:
        self._tell = tell
        self._event_id = event_id

    async def say(self, turn: Turn) -> list[str]:
        sentences = Sentences()
        async for delta in turn:
            if delta.choice == 0:
                for sentence in sentences.add(delta.text):
                    await self._chunk(sentence)
        await self._chunk(sentences.rest())
        await self._tell(frames.engine("", self._event_id, last=True))
        return []

    async def interrupted(self) -> None:
        """The engine has stopped speaking by itself."""

    async def _chunk(self, text: str) -> None:
        if text:
            await self._tell(frames.engine(text, self._event_id, last=False))


def _parameters(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {}
