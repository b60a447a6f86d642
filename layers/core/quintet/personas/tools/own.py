"""A persona's own things: the time where it is, its goals, its journal."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from quintet.personas.doing import Doing
from quintet.personas.model import Note, Persona
from quintet.personas.ports import Notebook
from quintet.personas.tools.box import Misused, Tool, text
from quintet.store.clock import Clock
from quintet.store.ids import new_id

JOURNAL_KEPT = timedelta(days=365)
_SET_GOALS = "configure_agents"
_MOST_GOALS = 20
_GOAL = 300
_ENTRY = 2_000
_ENTRIES = 10


def journal_page(persona: Persona) -> str:
    return f"persona#{persona.id}#journal"


def own_tools(notebook: Notebook, clock: Clock) -> Sequence[Tool]:
    own = _Own(notebook, clock)
    count = {"type": "integer", "minimum": 1, "maximum": _ENTRIES}
    goals = {"type": "array", "items": {"type": "string"}, "maxItems": _MOST_GOALS}
    zone = {"type": "string", "default": "", "description": "An IANA time zone; empty for your own"}
    return (
        Tool("current_time", "The date and the time", own.time, {"timezone": zone}, frozenset({"timezone"})),
        Tool("my_goals", "Your goals", own.goals, {}),
        # Callers may be anybody: what a persona strives for is not theirs to change.
        Tool("set_my_goals", "Replace your goals by these", own.set_goals, {"goals": goals}, permission=_SET_GOALS),
        Tool("read_journal", "Your latest journal entries", own.journal, {"count": count}, frozenset({"count"})),
        Tool("write_journal", "Add an entry to your journal", own.write, {"entry": {"type": "string"}}),
    )


class _Own:
    def __init__(self, notebook: Notebook, clock: Clock) -> None:
        self._notebook = notebook
        self._clock = clock

    async def time(self, given: Mapping[str, Any], doing: Doing) -> str:
        name = given.get("timezone") or doing.line.persona.timezone
        try:
            zone = ZoneInfo(name)
        except (KeyError, ValueError, TypeError, OSError):
            raise Misused("there is no such time zone") from None
        now = self._clock.now().astimezone(zone)
        return f"{now:%A, %Y-%m-%d %H:%M} in {zone.key}"

    async def goals(self, _given: Mapping[str, Any], doing: Doing) -> str:
        goals = await self._notebook.goals(doing.line.persona)
        return "\n".join(f"- {goal}" for goal in goals) or "You have none."

    async def set_goals(self, given: Mapping[str, Any], doing: Doing) -> str:
        told = given["goals"]
        if not isinstance(told, list) or not 1 <= len(told) <= _MOST_GOALS:
            raise Misused(f"goals must be a list of 1 to {_MOST_GOALS} texts")
        goals = [text({"goals": each}, "goals", _GOAL) for each in told]
        await self._notebook.set_goals(doing.line.persona, goals)
        return f"You have {len(goals)} goals now."

    async def journal(self, given: Mapping[str, Any], doing: Doing) -> str:
        count = given.get("count", 5)
        if type(count) is not int or not 1 <= count <= _ENTRIES:
            raise Misused(f"count must be a whole number from 1 to {_ENTRIES}")
        notes = await self._notebook.read(journal_page(doing.line.persona), count)
        return "\n\n".join(f"{note.at:%Y-%m-%d %H:%M}: {note.text}" for note in notes) or "It is empty."

    async def write(self, given: Mapping[str, Any], doing: Doing) -> str:
        now = self._clock.now()
        note = Note(new_id("note", now), "journal", text(given, "entry", _ENTRY), now)
        await self._notebook.write(journal_page(doing.line.persona), note, now + JOURNAL_KEPT)
        return "Written."
