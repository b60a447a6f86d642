"""What most filters ask of a task, in four digits: its status, type, priority and role."""

from collections.abc import Sequence
from functools import cache
from itertools import product

from quintet.tasks.model import PRIORITIES, ROLES, TYPES, Filters, Status, Task

_FACES: tuple[Sequence[str], ...] = ([*Status], TYPES, PRIORITIES, ("", *ROLES))
DIGITS = len(_FACES)


def digits_of(task: Task) -> str:
    facts = (task.status, task.type, task.priority, task.assignee_role or "")
    return "".join(str(face.index(fact)) for face, fact in zip(_FACES, facts, strict=True))


@cache
def facts_of(digits: str) -> tuple[str, str, str, str | None]:
    status, kind, priority, role = (str(face[int(digit)]) for face, digit in zip(_FACES, digits, strict=True))
    return status, kind, priority, role or None


def pattern_of(filters: Filters) -> str:
    """The digits of what fits, as a regular expression: dots for what is not asked."""
    asked = (filters.status, filters.type, filters.priority, filters.role)
    return "".join("." if value is None else str(face.index(value)) for face, value in zip(_FACES, asked, strict=True))


def possible(pattern: str) -> list[str]:
    """All digits that such a pattern fits."""
    choices = (map(str, range(len(face))) if each == "." else each for each, face in zip(pattern, _FACES, strict=True))
    return ["".join(digits) for digits in product(*choices)]


def choices(filters: Filters, held: Filters) -> list[int]:
    """How many there are of each that is asked, and does not follow from what is held."""
    both = zip(pattern_of(filters), pattern_of(held), _FACES, strict=True)
    return [len(face) for asked, known, face in both if asked != known]
