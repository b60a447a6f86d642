"""What agents of a role did, by day: counted as tasks end, in four items a day that each task shares with a quarter."""

import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from quintet.settings import settings
from quintet.store import wire
from quintet.store.clock import epoch
from quintet.store.transactions import Write
from quintet.tasks.model import Status, Task
from quintet.tasks.store.counts import read_all
from quintet.tasks.store.items import PartItem

DAYS = 7
_SHARDS = 4
_KEPT = timedelta(days=DAYS + 2)


def counted(task: Task) -> Iterator[Write]:
    """For the transaction that ends the task."""
    if task.submission is None or task.ended_at is None:
        return
    item = PartItem(_key(task.submission.role, zlib.crc32(task.id.encode()) % _SHARDS), _day(task.ended_at))
    seconds = (task.ended_at - (task.started_at or task.ended_at)).total_seconds()
    figures = {
        "completed" if task.status is Status.COMPLETED else "failed": 1,
        "millis": int(1000 * seconds),
        "cost": task.cost,
        "steps": task.progress.completed,
    }
    if task.model_used:
        figures[f"m:{task.model_used}"] = 1
    expires = PartItem.expires_at.set(epoch(task.ended_at + _KEPT))
    actions: list[Action] = [*(Path([name]).add(number) for name, number in figures.items()), expires]
    yield lambda tx: tx.update(item, actions=actions)


async def of_role(role: str, now: datetime) -> list[dict[str, Any]]:
    """Each of the last days, the newest first, as the sum of its items."""
    days = [_day(now - timedelta(days=ago)) for ago in range(DAYS)]
    keys = [wire.to_item({"id": _key(role, shard), "part": day}) for day in days for shard in range(_SHARDS)]
    summed: dict[str, dict[str, Any]] = {day: {} for day in days}
    for item in await read_all(settings().table("tasks"), keys):
        day = summed[item["part"]]
        for name, value in item.items():
            if name not in {"id", "part", "expires_at"}:
                day[name] = day.get(name, 0) + value
    return list(summed.values())


def _key(role: str, shard: int) -> str:
    return f"figures#{role}#{shard}"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
