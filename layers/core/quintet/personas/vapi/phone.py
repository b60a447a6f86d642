"""What we do about a phone call: say who answers, run its tools, remember it when it is over."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from quintet.errors import Failure, Kind
from quintet.gateway.model import Journal, Payer
from quintet.personas.cast import Cast
from quintet.personas.doing import Doing, Line
from quintet.personas.model import Persona, Status, session_key
from quintet.personas.ports import Calls, Conversations, Inbox, Toolbox
from quintet.personas.vapi.events import (
    ToolCall,
    VapiEvent,
    legacy_call_of,
    report_of,
    tool_calls_of,
)
from quintet.store.clock import Clock

ANSWER_SECONDS = 7.0  # VAPI hangs up on a caller after 7.5
_CALL_KEPT = timedelta(days=1)
_BEGINNINGS = frozenset({"assistant-request", "status-update", "assistant.started"})


@dataclass(frozen=True, slots=True)
class Answering:
    """Who picks up the phone, and where VAPI reaches its words. `secret` is what VAPI shows us there."""

    persona: Persona
    url: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Phone:
    cast: Cast
    calls: Calls
    conversations: Conversations
    inbox: Inbox
    toolbox: Toolbox
    clock: Clock

    async def heard(self, event: VapiEvent, answering: Answering, payer: Payer, journal: Journal) -> dict[str, Any]:
        """What VAPI is answered. Hearing an event twice does nothing more than hearing it once."""
        if event.type in _BEGINNINGS and event.call_id and event.phone:
            await self.calls.note(event.call_id, {"phone": event.phone}, self.clock.now() + _CALL_KEPT)
        match event.type:
            case "assistant-request":
                return self._assistant(event, answering)
            case "tool-calls":
                return await self._tools(event, answering, payer, journal)
            case "function-call":
                call = legacy_call_of(event)
                return {"result": await self._use(event, call, await self._doing(event, answering, payer, journal))}
            case "transfer-destination-request" | "handoff-destination-request":
                return {"error": "There is nobody to whom this call could be handed over"}
            case "knowledge-base-request":
                return {"documents": []}
            case "end-of-call-report":
                await self._over(event)
            case "status-update" if event.ended:
                await self._hung_up(event)
        return {"received": True}

    def _assistant(self, event: VapiEvent, answering: Answering) -> dict[str, Any]:
        """VAPI appends `/chat/completions` to the address."""
        if not answering.url:
            return {"error": "I cannot be reached: PUBLIC_URL says where callers reach the API"}
        persona = self.cast.find(event.called) or answering.persona
        model: dict[str, Any] = {"provider": "custom-llm", "url": answering.url, "model": persona.id}
        if answering.secret:
            model["headers"] = {"Authorization": f"Bearer {answering.secret}"}
        assistant = {"name": persona.name, "model": model}
        if persona.greeting:
            assistant["firstMessage"] = persona.greeting
        return {"assistant": assistant}

    async def _tools(self, event: VapiEvent, answering: Answering, payer: Payer, journal: Journal) -> dict[str, Any]:
        doing = await self._doing(event, answering, payer, journal)
        results = []
        for call in tool_calls_of(event):
            result = await self._use(event, call, doing)
            results.append({"name": call.name, "toolCallId": call.id, "result": result})
        return {"results": results}

    async def _use(self, event: VapiEvent, call: ToolCall, doing: Doing) -> str:
        """A repeated call gets the first one's result. VAPI wants it on one line."""
        place = f"{event.call_id}#{call.id}" if event.call_id and call.id != "function" else ""
        known = (await self.calls.find(place)).get("result") if place else None
        if known is not None:
            return known
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                told = await self.toolbox.use(call.name, call.arguments, doing)
        except TimeoutError:
            return "Not done: it took too long."
        result = "; ".join(line.strip() for line in told.splitlines() if line.strip())
        if place:
            await self.calls.note(place, {"result": result}, self.clock.now() + _CALL_KEPT)
        return result

    async def _doing(self, event: VapiEvent, answering: Answering, payer: Payer, journal: Journal) -> Doing:
        facts = await self.calls.find(event.call_id) if event.call_id else {}
        persona = self.cast.find(facts.get("agent", "")) or answering.persona
        line = Line(persona, facts.get("caller") or event.phone or event.call_id, facts.get("scope", ""), "voice")
        return Doing.within(line, ANSWER_SECONDS, payer, journal)

    async def _hung_up(self, event: VapiEvent) -> None:
        key = await self._session(event)
        if key:
            await self.conversations.end(key, self.clock.now(), Status.COMPLETED)

    async def _over(self, event: VapiEvent) -> None:
        """The report comes once the call is over; what it says is summed up where nobody waits."""
        if not event.call_id:
            raise Failure(Kind.INVALID, "call.id: Field required", details={"field": "call.id"})
        await self._hung_up(event)
        facts = await self.calls.find(event.call_id)
        caller = facts.get("caller") or event.phone or facts.get("phone", "")
        report = report_of(event)
        if caller and (report["summary"] or report["transcript"]):
            job = {"kind": "report", "call": event.call_id, "caller": caller, "scope": facts.get("scope", "")}
            await self.inbox.put({**job, "agent": facts.get("agent", ""), **report})

    async def _session(self, event: VapiEvent) -> str:
        facts: Mapping[str, str] = await self.calls.find(event.call_id) if event.call_id else {}
        agent, caller = facts.get("agent", ""), facts.get("caller", "")
        return session_key(facts.get("scope", ""), caller, agent) if agent and caller else ""
