"""When what is due: every hour that a persona has set aside for an activity comes once a day, in its own time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from quintet.personas.model import Activity, Persona

CATCH_UP = timedelta(hours=3)  # so late a slot is still lived, if no tick came in time


@dataclass(frozen=True, slots=True)
class Slot:
    """`hour` is the persona's own: 2026-11-29T09."""

    persona: str
    activity: Activity
    hour: str
    begins: datetime

    @property
    def mark(self) -> str:
        return f"slot#{self.persona}#{self.activity.value}#{self.hour}"


def due(persona: Persona, now: datetime) -> list[Slot]:
    """The oldest first. An hour that clocks skip begins when they have; one that they repeat begins once."""
    slots = [slot for slot in _around(persona, now) if now - CATCH_UP < slot.begins <= now]
    return sorted(slots, key=lambda slot: (slot.begins, list(Activity).index(slot.activity)))


def _around(persona: Persona, now: datetime) -> Iterator[Slot]:
    zone = ZoneInfo(persona.timezone)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        for activity, hours in persona.hours.items():
            for hour in hours:
                begins = datetime.combine(day, time(hour), zone).astimezone(UTC)
                yield Slot(persona.id, activity, f"{day.isoformat()}T{hour:02d}", begins)
