"""Whether life goes on: when it began, and when it last beat."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quintet.personas.cast import Cast

_SILENT = timedelta(minutes=35)  # two ticks missed, and some slack


@dataclass(frozen=True, slots=True)
class Beat:
    """`ticked` is None before the first tick."""

    since: datetime
    ticked: datetime | None = None


def active_names(cast: Cast, beat: Beat, now: datetime) -> list[str]:
    """Those with something to do, as long as somebody wakes them."""
    if beat.ticked is None or now - beat.ticked > _SILENT:
        return []
    return [each.name for each in cast.personas if any(each.hours.values())]


def uptime(lasted: timedelta) -> str:
    """`2h30m15s`"""
    seconds = max(0, int(lasted.total_seconds()))
    hours, minutes = divmod(seconds // 60, 60)
    text = f"{minutes}m{seconds % 60}s"
    return f"{hours}h{text}" if hours else text if minutes else f"{seconds}s"
