"""The nouns of the task platform, pure: a task, what it may become, and what is asked of a list of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from quintet.errors import Failure, Kind

NO_VALUES: Mapping[str, Any] = {}

TYPES = ("implementation", "review", "design", "testing")
PRIORITIES = ("low", "medium", "high", "critical")  # from the least on: their order is a sort order
ROLES = ("architect", "implementer", "critic", "integrator")
MOST_TAGS = 16  # a transaction takes 100 writes: store/listing.py counts them
MOST_DEPENDENCIES = 20


class Status(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
_NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.IN_PROGRESS, Status.CANCELLED}),
    Status.IN_PROGRESS: ENDED,
    **dict.fromkeys(ENDED, frozenset[Status]()),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """`step` is the one being worked on."""

    completed: int = 0
    total: int = 0
    step: str | None = None

    @property
    def percentage(self) -> int:
        return 100 * self.completed // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class Submission:
    """A task handed to an agent. `model` is the one that is to be tried first.

    `by_itself` says that the task named a role when it was created, and nobody has submitted it since.
    """

    id: str
    role: str
    agent_id: str
    at: datetime
    by: str
    account: str
    model: str
    estimated_seconds: int | None
    key_id: str | None = None
    by_itself: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    preferences: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """`rev` counts its changes, `run` the executions that have worked on it, `round` its attempts at the whole (see
    store/steps.py). `cost` is in nano-USD.

    `error` is why it failed, or was cancelled.
    """

    id: str
    title: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    description: str = ""
    type: str = "implementation"
    status: Status = Status.PENDING
    priority: str = "medium"
    assignee_role: str | None = None
    assigned_to: str | None = None
    files_to_modify: tuple[str, ...] = ()
    acceptance_criteria: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    deadline: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = Progress()
    results: Mapping[str, Any] = field(default_factory=dict)
    feedback: str | None = None
    error: str | None = None
    submission: Submission | None = None
    escalation_id: str | None = None
    model_used: str | None = None
    cost: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run: int = 0
    round: int = 1
    rev: int = 1

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def etag(self) -> str:
        return f'"{self.rev}"'

    def changed(self, now: datetime, **values: Any) -> "Task":
        return replace(self, **values, rev=self.rev + 1, updated_at=now)


def may_become(task: Task, status: Status) -> bool:
    """A task that an agent has been given counts as begun: its execution takes a moment to say so."""
    begun = task.status is Status.PENDING and task.submission is not None
    return status in _NEXT[task.status] or (begun and status in _NEXT[Status.IN_PROGRESS])


def moved(task: Task, status: Status, now: datetime, **values: Any) -> Task:
    """Raises Failure for a step that its life does not have. Staying as it is is none."""
    if status is not task.status:
        if not may_become(task, status):
            raise Failure(
                Kind.CONFLICT,
                f"A task that is {task.status} cannot become {status}",
                details={"status": str(task.status), "wanted": str(status)},
            )
        if status is Status.IN_PROGRESS:
            values.setdefault("started_at", now)
        if status in ENDED:
            values.setdefault("ended_at", now)
    return task.changed(now, status=status, **values)


def not_found(task_id: str) -> Failure:
    return Failure(Kind.NOT_FOUND, f"There is no task '{task_id}'", code="TASK_NOT_FOUND")


class SortBy(StrEnum):
    CREATED = "created_at"
    UPDATED = "updated_at"
    PRIORITY = "priority"
    DEADLINE = "deadline"


class Filed(Protocol):
    """What filters look at: a task, or what lists are told of one."""

    @property
    def status(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def priority(self) -> str: ...
    @property
    def assignee_role(self) -> str | None: ...
    @property
    def created_by(self) -> str: ...
    @property
    def tags(self) -> Sequence[str]: ...


class Summary(NamedTuple):
    """What lists show of a task. Moments are milliseconds."""

    id: str
    title: str
    status: str
    type: str
    priority: str
    assignee_role: str | None
    created_at: int
    updated_at: int
    created_by: str
    tags: Sequence[str]
    deadline: int | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What is None or empty says nothing. A task has to have all of `tags`."""

    status: Status | None = None
    type: str | None = None
    priority: str | None = None
    role: str | None = None
    created_by: str | None = None
    tags: tuple[str, ...] = ()

    def fit(self, task: Filed) -> bool:
        return (
            (self.status is None or self.status == task.status)
            and (self.type is None or self.type == task.type)
            and (self.priority is None or self.priority == task.priority)
            and (self.role is None or self.role == task.assignee_role)
            and (self.created_by is None or self.created_by == task.created_by)
            and (not self.tags or set(self.tags) <= set(task.tags))
        )


@dataclass(frozen=True, slots=True)
class Order:
    """Tasks without a deadline come last, whichever way deadlines are sorted; ties are in the order of creation."""

    by: SortBy = SortBy.CREATED
    descending: bool = True
