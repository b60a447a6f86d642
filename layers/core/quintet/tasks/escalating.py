"""Escalations: asked for by people or by the rules, decided by somebody else, and then the task runs again."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.events.model import Event
from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.gateway.model import NANO
from quintet.gateway.view import View
from quintet.http.work import offload
from quintet.store.clock import Clock, iso
from quintet.store.ids import new_id
from quintet.store.transactions import Unmet
from quintet.tasks import budgets, models
from quintet.tasks.errors import EscalationGone
from quintet.tasks.escalation import PATIENCE, Escalation, Stage, not_found
from quintet.tasks.model import Progress, Status, Submission, Task
from quintet.tasks.model import not_found as no_task
from quintet.tasks.owed import Debts
from quintet.tasks.selecting import Request, judge
from quintet.tasks.store import debts, escalations, steps, tasks
from quintet.tasks.store.escalations import Taken, TooMany
from quintet.tasks.tasks import Actor
from quintet.tasks.terms import role_terms, terms

_ATTEMPTS = 8
_SYSTEM = "system"
log = logging.getLogger("quintet.tasks")
_EVENTS = {
    Stage.PENDING: "escalation.requested",
    Stage.APPROVED: "escalation.approved",
    Stage.REJECTED: "escalation.rejected",
    Stage.EXPIRED: "escalation.expired",
    Stage.COMPLETED: "escalation.completed",
}


class EscalationEngine(Protocol):
    """`engine.StepFunctions`. Blocking."""

    def escalate(self, escalation_id: str, run: int, /) -> None: ...

    def escalating(self, escalation_id: str, run: int, /) -> bool: ...

    def answer(self, token: str, decision: str, /) -> bool:
        """Whether anybody was waiting for it."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for; the rest is found out."""

    reason: str
    original_model: str | None = None
    target_model: str | None = None
    estimated_cost: int | None = None
    priority: str | None = None
    context: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Escalations:
    engine: EscalationEngine
    debts: Debts
    clock: Clock
    view: Callable[[], Awaitable[View]]

    async def get(self, escalation_id: str) -> Escalation:
        found = await escalations.find(escalation_id)
        if found is None:
            raise not_found(escalation_id)
        return found

    async def submit(self, task_id: str, wish: Wish, actor: Actor) -> Escalation:
        task = await tasks.find(task_id)
        if task is None:
            raise no_task(task_id)
        if task.status is Status.CANCELLED:
            raise Failure(Kind.CONFLICT, "This task is cancelled: it does not run again")
        pending, _ = await escalations.page(
            status=Stage.PENDING, task_id=task_id, since=None, until=None, limit=1, offset=0
        )
        if pending:
            raise Failure(Kind.CONFLICT, f"The escalation '{pending[0].id}' of this task waits for a decision already")
        now, view, system = self.clock.now(), await self.view(), await terms()
        target = wish.target_model or system.escalation_model
        if wish.target_model is not None:
            models.usable(view, target)
        cost = wish.estimated_cost
        escalation = Escalation(
            id=new_id("esc", now),
            task_id=task_id,
            requested_by=actor.answerable,
            submitted_at=now,
            expires_at=now + PATIENCE,
            original_model=wish.original_model or task.model_used or _asked(task) or system.default_model,
            target_model=target,
            reason=wish.reason,
            estimated_cost=_estimate(view, target, task) if cost is None else cost,
            priority=wish.priority or task.priority,
            context=wish.context or {},
            account=actor.account,
            key_id=actor.key_id,
        )
        if not system.approval_required:
            escalation = _approved_by_rule(escalation, now)
        try:
            await self._add(escalation, system.max_daily_escalations)
        except TooMany:
            raise Failure(
                Kind.REJECTED,
                f"{system.max_daily_escalations} escalations have been asked for today, which is the most: "
                "ask again tomorrow, or have max_daily_escalations raised",
                code="ESCALATION_REJECTED",
            ) from None
        await self._pay_now(escalation)
        return escalation

    async def decide(
        self, escalation_id: str, approved: bool, actor: Actor, reason: str | None, comments: str | None
    ) -> Escalation:
        for _ in range(_ATTEMPTS):
            before = await self.get(escalation_id)
            now = self.clock.now()
            after = before.decided(approved, actor.id, now, reason, comments)
            if await self._change(before, after, actor.id, now):
                await self._pay_now(after)
                return after
        raise Failure(Kind.CONFLICT, "Others are deciding on this escalation: look at it again")

    async def by_rule(self, task: Task) -> Task:
        """What the rules make of a task that is about to begin: it may begin on the better model at once."""
        submission = task.submission
        if submission is None or task.round > 1 or task.escalation_id or submission.preferences.get("model"):
            return task
        verdict = judge(Request(f"{task.title}\n{task.description}", task.files_to_modify, len(task.files_to_modify)))
        rules = (await role_terms(submission.role))["escalation_rules"]
        strong = (
            verdict.security >= rules["security_threshold"]
            or verdict.complexity >= rules["complexity_threshold"]
            or verdict.business >= rules["business_impact_threshold"]
        )
        system = await terms()
        if not (verdict.escalate and strong) or submission.model == system.escalation_model:
            return task
        now, view = self.clock.now(), await self.view()
        names = ", ".join(trigger.name for trigger in verdict.triggers)
        escalation = Escalation(
            id=f"esc_{task.id.partition('_')[2]}",  # one of each task: a repeated step finds it
            task_id=task.id,
            requested_by=_SYSTEM,
            submitted_at=now,
            expires_at=now + PATIENCE,
            original_model=submission.model,
            target_model=system.escalation_model,
            reason=f"The rules say so: {names}",
            estimated_cost=_estimate(view, system.escalation_model, task),
            priority=task.priority,
            by_rule=True,
            confidence=verdict.confidence,
            account=submission.account,
            key_id=submission.key_id,
        )
        sure = verdict.confidence >= system.auto_approve_threshold
        if not system.approval_required or (sure and escalation.estimated_cost <= system.cost_threshold):
            escalation = _approved_by_rule(escalation, now)
        try:
            await self._add(escalation, system.max_daily_escalations)
        except TooMany:
            return task  # it begins on the model that it was given
        except Taken:
            escalation = await self.get(escalation.id)
        if escalation.status is Stage.PENDING:
            await self.pay(escalation)
            return task
        await offload(debts.paid, escalation.id, now)
        better = replace(submission, model=escalation.target_model)
        return replace(task, submission=better, escalation_id=escalation.id)

    async def pay(self, escalation: Escalation) -> None:
        """An execution waits for the decision, or is told of it. Paying twice changes nothing."""
        if escalation.status in {Stage.PENDING, Stage.APPROVED, Stage.REJECTED} and not escalation.token:
            await offload(self.engine.escalate, escalation.id, escalation.run)
        elif escalation.status in {Stage.APPROVED, Stage.REJECTED} and escalation.token:
            decision = "approved" if escalation.status is Stage.APPROVED else "rejected"
            told = await offload(self.engine.answer, escalation.token, decision)
            if not told and escalation.status is Stage.APPROVED:  # whoever waited is gone
                await offload(self.engine.escalate, escalation.id, escalation.run + 1)
        await offload(debts.paid, escalation.id, self.clock.now())

    async def _pay_now(self, escalation: Escalation) -> None:
        """What is decided is decided: what is still owed is paid by the schedule."""
        try:
            await self.pay(escalation)
        except Exception:
            log.exception("an escalation's debt is left to the schedule", extra={"escalation": escalation.id})

    # The steps of its state machine

    async def open(self, escalation_id: str) -> dict[str, Any]:
        escalation = await self._standing(escalation_id)
        return {"status": str(escalation.status)}

    async def await_decision(self, escalation_id: str, token: str) -> None:
        """Keeps the token of the execution that waits; a decision that came first is answered at once."""
        while True:
            escalation = await self._standing(escalation_id)
            if escalation.status is not Stage.PENDING:
                decision = "approved" if escalation.status is Stage.APPROVED else "rejected"
                await offload(self.engine.answer, token, decision)
                return
            try:
                await offload(escalations.change, escalation, escalation.changed(token=token))
            except Unmet:
                continue
            return

    async def expire(self, escalation_id: str) -> dict[str, Any]:
        """Unless it was decided at the last moment."""
        while True:
            before = await self._standing(escalation_id)
            if before.status is not Stage.PENDING:
                return {"decision": str(before.status)}
            now = self.clock.now()
            if await self._change(before, before.changed(status=Stage.EXPIRED, decided_at=now), _SYSTEM, now):
                return {"decision": str(Stage.EXPIRED)}

    async def rerun(self, escalation_id: str) -> None:
        """The task begins another round on the better model, with the money that was approved."""
        while True:
            escalation = await self._standing(escalation_id)
            task = await tasks.find(escalation.task_id)
            if escalation.status is not Stage.APPROVED or task is None or task.escalation_id == escalation.id:
                if task is not None and task.escalation_id == escalation.id:
                    await self.debts.pay(task)
                return
            if task.status is Status.CANCELLED:
                await self._close(escalation, 0, "The task was cancelled")
                return
            await budgets.add(task, escalation.estimated_cost, self.clock)
            now = self.clock.now()
            after = _again(task, escalation, now)
            try:
                await offload(tasks.change, task, after, self.debts.owe(after))
            except Unmet:
                continue
            if task.run and not task.ended:
                await offload(self.debts.engine.stop, task.id, task.run, "It runs again on another model")
            await self.debts.pay(after)
            return

    async def ended(self, task: Task) -> None:
        """The task that ran under an escalation has ended: so has the escalation."""
        if task.escalation_id is None:
            return
        escalation = await escalations.find(task.escalation_id)
        if escalation is None or escalation.status is not Stage.APPROVED:
            return
        done = await steps.of_round(task.id, task.round)
        cost = sum(told["cost"] for told in done.values())
        said = "Task completed successfully with premium model"
        if task.status is not Status.COMPLETED:
            said = f"Task {task.status}: {task.error or 'no reason was given'}"
        await self._close(escalation, cost, said)

    async def sweep(self, escalation_id: str) -> None:
        """For one whose execution may be gone: it expires all the same, and its decision counts."""
        escalation = await escalations.find(escalation_id)
        if escalation is None:
            return
        if escalation.status is Stage.PENDING and self.clock.now() >= escalation.expires_at:
            await self.expire(escalation_id)
        elif escalation.status is Stage.PENDING and not await offload(
            self.engine.escalating, escalation.id, escalation.run
        ):
            after = escalation.changed(run=escalation.run + 1, token=None)
            try:
                await offload(escalations.change, escalation, after)
            except Unmet:
                return
            await self.pay(after)

    async def _close(self, escalation: Escalation, cost: int, result: str) -> None:
        while escalation.status is Stage.APPROVED:
            now = self.clock.now()
            after = escalation.changed(status=Stage.COMPLETED, actual_cost=cost, result=result)
            if await self._change(escalation, after, _SYSTEM, now):
                return
            escalation = await self.get(escalation.id)

    async def _standing(self, escalation_id: str) -> Escalation:
        escalation = await escalations.find(escalation_id)
        if escalation is None:
            raise EscalationGone(f"There is no escalation '{escalation_id}'")
        return escalation

    async def _add(self, escalation: Escalation, most_a_day: int) -> None:
        now = escalation.submitted_at
        also = [debts.owe(escalation.id, now), outbox(told_of(escalation, now, escalation.requested_by))]
        await offload(escalations.add, escalation, most_a_day, *also)

    async def _change(self, before: Escalation, after: Escalation, actor: str, now: datetime) -> bool:
        also = [outbox(told_of(after, now, actor)), debts.owe(after.id, now)]
        try:
            await offload(escalations.change, before, after, *also)
        except Unmet:
            return False
        return True


def told_of(escalation: Escalation, now: datetime, actor: str) -> Event:
    approved = escalation.status in {Stage.APPROVED, Stage.COMPLETED}
    data = {
        "escalation_id": escalation.id,
        "task_id": escalation.task_id,
        "status": str(escalation.status),
        "approved_by": escalation.decided_by if approved else None,
        "approved_at": iso(escalation.decided_at) if approved and escalation.decided_at else None,
        "original_model": escalation.original_model,
        "target_model": escalation.target_model,
        "estimated_cost": escalation.estimated_cost / NANO,
    }
    if escalation.status is Stage.REJECTED:
        data |= {"rejected_by": escalation.decided_by, "reason": escalation.decision_reason}
    if escalation.status is Stage.COMPLETED:
        data |= {"actual_cost": (escalation.actual_cost or 0) / NANO, "result": escalation.result}
    return platform_event(_EVENTS[escalation.status], escalation.task_id, data, now=now, actor=actor)


def _approved_by_rule(escalation: Escalation, now: datetime) -> Escalation:
    return replace(escalation, status=Stage.APPROVED, approval_required=False, decided_at=now, decided_by=_SYSTEM)


def _again(task: Task, escalation: Escalation, now: datetime) -> Task:
    submission = task.submission or Submission(
        id=new_id("sub", now),
        role=task.assignee_role or "implementer",
        agent_id=f"agent_{task.assignee_role or 'implementer'}_{task.id[-8:]}",
        at=now,
        by=escalation.requested_by,
        account=escalation.account,
        model=escalation.target_model,
        estimated_seconds=None,
        key_id=escalation.key_id,
    )
    return task.changed(
        now,
        status=Status.PENDING,
        submission=replace(submission, model=escalation.target_model, by_itself=False),
        assignee_role=submission.role,
        escalation_id=escalation.id,
        round=task.round + 1,
        run=task.run + 1,
        progress=Progress(),
        error=None,
        started_at=None,
        ended_at=None,
    )


def _asked(task: Task) -> str | None:
    return task.submission.model if task.submission else None


def _estimate(view: View, model: str, task: Task) -> int:
    said = len(task.title) + len(task.description) + sum(map(len, task.acceptance_criteria))
    return models.estimate(view, model, said, max(1, len(task.acceptance_criteria))).cost
