"""Creating, changing and cancelling tasks, and handing them to agents."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from quintet.errors import Failure, Kind
from quintet.events.store import outbox
from quintet.http.work import offload
from quintet.store.clock import Clock
from quintet.store.ids import new_id
from quintet.store.transactions import Unmet, Write
from quintet.tasks import telling
from quintet.tasks.dependencies import check, open_ones
from quintet.tasks.model import Progress, Status, Submission, Task, moved, not_found
from quintet.tasks.owed import Debts
from quintet.tasks.store import tasks
from quintet.tasks.store.rows import body_size
from quintet.tasks.store.tasks import Promise

Etags = frozenset[str]
_ATTEMPTS = 8
_MOST_BYTES = 320_000  # an item takes 400 KB, and the work itself has something to say
_REPLACED = frozenset(
    {
        "title",
        "description",
        "type",
        "priority",
        "assignee_role",
        "files_to_modify",
        "acceptance_criteria",
        "dependencies",
        "tags",
        "deadline",
        "feedback",
    }
)
_LAID_OVER = frozenset({"results", "metadata"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and whose account pays for what models do about it.

    `behind` is who had a token made in the name of `id`: it is they whose budgets count, and who have asked.
    """

    id: str
    account: str
    key_id: str | None = None
    behind: str | None = None

    @property
    def answerable(self) -> str:
        return self.behind or self.id


@dataclass(frozen=True, slots=True)
class Handover:
    """What a task is given to an agent with."""

    role: str
    model: str
    estimated_seconds: int | None
    by_itself: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    preferences: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tasks:
    debts: Debts
    clock: Clock

    async def get(self, task_id: str) -> Task:
        task = await tasks.find(task_id)
        if task is None:
            raise not_found(task_id)
        return task

    async def create(
        self, values: Mapping[str, Any], actor: Actor, handover: Handover | None, key: str | None = None
    ) -> Task:
        """With a `handover` an agent gets it at once, or once its dependencies are completed.

        `key` makes a repeated request harmless: it answers the task that the first one has made.
        """
        now = self.clock.now()
        task = Task(id=new_id("task", now), created_at=now, updated_at=now, created_by=actor.id, **values)
        promise = _promise(key, actor, task, values) if key else None
        if promise is not None:
            kept = await self._kept(promise, now)
            if kept is not None:
                return kept
        _bounded(None, task)
        await check(None, task.dependencies, tasks.heads)
        if handover is not None:
            ready = not open_ones(task.dependencies, await tasks.heads(task.dependencies))
            task = replace(_submitted(task, handover, actor, now), run=1 if ready else 0)
        if task.dependencies:
            await offload(tasks.expect, task.id, task.dependencies)
        also = [outbox(telling.became(task, actor.id)), *([self.debts.owe(task)] if task.submission else [])]
        try:
            await offload(tasks.add, task, promise, *also)
        except Unmet:
            assert promise is not None
            kept = await self._kept(promise, now)
            if kept is None:
                raise
            return kept
        if task.submission is not None:
            await self.debts.pay_now(task)
        return task

    async def update(self, task_id: str, values: Mapping[str, Any], actor: Actor, etags: Etags | None = None) -> Task:
        """`results` and `metadata` are laid over what is there; everything else is replaced."""
        if values.get("dependencies"):
            await check(task_id, values["dependencies"], tasks.heads)
            await offload(tasks.expect, task_id, values["dependencies"])
        before, after = await self._change(task_id, lambda task, now: _updated(task, values, now), actor, etags)
        if after.ended is not before.ended or "dependencies" in values:
            await self.debts.pay_now(after)
        return after

    async def cancel(self, task_id: str, reason: str | None, actor: Actor, etags: Etags | None = None) -> Task:
        """A task that is cancelled already stays so."""

        def cancelled(task: Task, now: datetime) -> Task:
            if task.status is Status.CANCELLED:
                return task
            return moved(task, Status.CANCELLED, now, error=reason)

        before, after = await self._change(task_id, cancelled, actor, etags)
        if not before.ended:
            await self.debts.pay_now(after)
        return after

    async def submit(self, task_id: str, handover: Handover, actor: Actor) -> Task:
        """A task that an agent has already goes on; it takes what it is told now from its next step on."""

        def handed_over(task: Task, now: datetime) -> Task:
            if task.ended:
                raise Failure(Kind.CONFLICT, f"This task is {task.status}: create another one")
            if task.submission is None:
                return _submitted(task, handover, actor, now).changed(now)
            if task.run and task.submission.role != handover.role:
                raise Failure(Kind.CONFLICT, f"The {task.submission.role} has this task already")
            return _told_more(task, handover, now)

        _, after = await self._change(task_id, handed_over, actor)
        await self.debts.pay_now(after)
        return after

    async def _change(
        self, task_id: str, make: Callable[[Task, datetime], Task], actor: Actor, etags: Etags | None = None
    ) -> tuple[Task, Task]:
        """Makes the change upon the newest state; with etags, only upon one of those."""
        for _ in range(_ATTEMPTS):
            before = await self.get(task_id)
            if etags is not None and etags.isdisjoint({before.etag, "*"}):
                raise Failure(Kind.PRECONDITION_FAILED, "The task has changed since you read it: read it again")
            after = make(before, self.clock.now())
            if after is before:
                return before, after
            _bounded(before, after)
            try:
                await offload(tasks.change, before, after, *self._also(before, after, actor))
            except Unmet:
                continue
            return before, after
        raise Failure(Kind.CONFLICT, "Others are changing this task: try again", retry_after=1)

    def _also(self, before: Task, after: Task, actor: Actor) -> Sequence[Write]:
        """The events of a change, and what it owes."""
        also: list[Write] = []
        if after.status is not before.status:
            also.append(outbox(telling.became(after, actor.id)))
        elif after.progress != before.progress:
            also.append(outbox(telling.progressed(after, actor.id)))
        if (after.ended and not before.ended) or after.submission != before.submission:
            also.append(self.debts.owe(after))
        return also

    async def _kept(self, promise: Promise, now: datetime) -> Task | None:
        """The task of a key that was used before, as it was when it was new."""
        known = await tasks.promise(promise.key, now)
        if known is None:
            return None
        if known.body != promise.body:
            issue = "This key was used for another request"
            raise Failure(Kind.INVALID, issue, details={"field": "Idempotency-Key", "issue": issue})
        task = await self.get(known.task_id)
        return replace(task, status=Status.PENDING, rev=1)


def _bounded(before: Task | None, after: Task) -> None:
    """Raises Failure for what callers say beyond the size of a task. What is too large already may still shrink."""
    size = body_size(after)
    if size > _MOST_BYTES and (before is None or size > body_size(before)):
        raise Failure(
            Kind.TOO_LARGE,
            f"This task would have {size // 1000} KB: description, files, criteria, metadata, results and feedback may "
            f"have {_MOST_BYTES // 1000} KB in all",
        )


def _promise(key: str, actor: Actor, task: Task, values: Mapping[str, Any]) -> Promise:
    body = json.dumps(values, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{actor.answerable}\n{actor.id}\n{key}".encode()).hexdigest()
    return Promise(f"promise#{digest}", task.id, hashlib.sha256(body.encode()).hexdigest())


def _submitted(task: Task, handover: Handover, actor: Actor, now: datetime) -> Task:
    agent = f"agent_{handover.role}_{task.id[-8:]}"
    submission = Submission(
        id=new_id("sub", now),
        role=handover.role,
        agent_id=agent,
        at=now,
        by=actor.answerable,
        account=actor.account,
        model=handover.model,
        estimated_seconds=handover.estimated_seconds,
        key_id=actor.key_id,
        by_itself=handover.by_itself,
        context=handover.context,
        preferences=handover.preferences,
    )
    return replace(task, submission=submission, assigned_to=agent, assignee_role=handover.role)


def _told_more(task: Task, handover: Handover, now: datetime) -> Task:
    known = task.submission
    assert known is not None
    submission = replace(
        known,
        role=handover.role,
        model=handover.model,
        by_itself=False,
        context={**known.context, **handover.context},
        preferences={**known.preferences, **handover.preferences},
    )
    if submission == known:
        return task
    return task.changed(now, submission=submission, assignee_role=handover.role)


def _updated(task: Task, values: Mapping[str, Any], now: datetime) -> Task:
    new: dict[str, Any] = {name: value for name, value in values.items() if name in _REPLACED}
    new |= {name: {**getattr(task, name), **values[name]} for name in _LAID_OVER & values.keys()}
    if "progress" in values:
        new["progress"] = Progress(**values["progress"])
    return moved(task, values.get("status", task.status), now, **new)
