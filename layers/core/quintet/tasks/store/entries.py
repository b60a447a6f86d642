"""What the rows of creators and tags tell, pure: all that filters ask and lists show, so that no task is read for it.

Its facts in digits; then JSON without its outer brackets: whose it is, and its title and moments. A task with more than
`FEW_TAGS` has entries by the dozen, which do not all change in its transaction: it tells whose it is alone, what is
old may still lie there, and who shows it reads the task.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from quintet.store.clock import millis
from quintet.tasks.model import Filters, Summary, Task
from quintet.tasks.store.facts import DIGITS, digits_of, facts_of, pattern_of

FEW_TAGS = 5


def told_of(task: Task) -> str:
    told: list[Any] = [[task.created_by, *task.tags]]
    if len(task.tags) <= FEW_TAGS:
        deadline = None if task.deadline is None else millis(task.deadline)
        told += [task.title, millis(task.created_at), millis(task.updated_at), deadline]
    return digits_of(task) + _text(told)[1:-1]


def tells_all(told: str) -> bool:
    """What does ends in a moment, or none."""
    return told[-1:] not in {"]", ""}


def fits(filters: Filters, holds: Filters) -> Callable[[str], bool]:
    """Whether what an entry of those that are held tells is what is asked."""
    creator = None if filters.created_by == holds.created_by else filters.created_by
    wanted = {*filters.tags} - {*holds.tags}
    by = rf"\[{re.escape(_text(creator))}[],]" if creator is not None else ""
    like = re.compile(f"{pattern_of(filters)}{by}")
    likely = [_text(tag) for tag in wanted]  # it may be in the title

    def fit(told: str) -> bool:
        if like.match(told) is None or not all(tag in told for tag in likely):
            return False
        return not wanted or wanted.issubset(json.loads(f"[{told[DIGITS:]}]")[0][1:])

    return fit


def summaries_of(entries: Sequence[tuple[str, str]]) -> list[Summary]:
    """Of ids and what is told of them, all of it: fifty texts are read as one."""
    whole = json.loads(f"[{','.join(f'[{told[DIGITS:]}]' for _, told in entries)}]")
    return [
        Summary(task_id, title, *facts_of(told[:DIGITS]), created, updated, by, tags, deadline)
        for (task_id, told), ((by, *tags), title, created, updated, deadline) in zip(entries, whole, strict=True)
    ]


def _text(told: Any) -> str:
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
