"""The steps of the task's state machine. Each may be repeated: what was done is found, what was paid is not paid twice.

A call's id names the task, the round and the step, never the attempt. What a step found out is written in the same
transaction as the task's progress, its cost and its event, on the condition that it was not written before.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.events.store import outbox
from quintet.gateway.journals import WorkJournal
from quintet.gateway.model import Ask, Completion, Gateway, Message, Payer, Terms
from quintet.gateway.providers.model import Fault
from quintet.http.work import offload
from quintet.store.clock import Clock
from quintet.store.transactions import Unmet, Write
from quintet.tasks import artifacts, prompts, telling
from quintet.tasks.errors import (
    AgentUnavailable,
    ModelFailed,
    ModelRefused,
    OutOfBudget,
    OutOfTime,
    OutOfTurn,
    TaskEnded,
)
from quintet.tasks.model import Progress, Status, Submission, Task, moved
from quintet.tasks.outcomes import Constraints, plan_of, review_of, work_of
from quintet.tasks.owed import Debts
from quintet.tasks.store import steps, tasks
from quintet.tasks.store.figures import counted
from quintet.tasks.terms import role_terms

AGENTS = 10  # of each role: so many tasks are worked on at a time
_SETTLE = timedelta(seconds=2)  # a task that begins by itself waits so long for a word from who submits it
_FULL_SECONDS = 5
_LONGEST_CALL = 600.0
_ACTOR = "agent"
_PASSING = frozenset({Kind.LIMITED, Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.INTERNAL})
_HOPELESS = frozenset({Fault.CONTEXT, Fault.REFUSED, Fault.UNSUPPORTED})
_BUILTIN = "builtin"


class Escalate(Protocol):
    """`escalating.Escalations.by_rule`."""

    async def __call__(self, task: Task, /) -> Task: ...


class Budgeted(Protocol):
    async def __call__(self, task: Task, /) -> None:
        """Gives the task its budget. Doing it again changes nothing."""
        ...


class Ended(Protocol):
    async def __call__(self, task: Task, /) -> None:
        """Closes the escalation that the task ran under."""
        ...


@dataclass(frozen=True, slots=True)
class Runner:
    gateway: Gateway
    debts: Debts
    clock: Clock
    budgeted: Budgeted
    escalate: Escalate
    escalation_ended: Ended

    async def begin(self, task_id: str, run: int) -> dict[str, Any]:
        """`{"next": "go"}`, or `{"next": "wait", "seconds": n}`: then ask again."""
        while True:
            task = await self._task(task_id, run)
            if task.status is Status.IN_PROGRESS:
                return {"next": "go"}
            submission = _submission(task)
            now = self.clock.now()
            if submission.by_itself and now < task.updated_at + _SETTLE and task.round == 1:
                return {"next": "wait", "seconds": int(_SETTLE.total_seconds())}
            role = await role_terms(submission.role)
            if not role["enabled"]:
                raise AgentUnavailable(f"The role '{submission.role}' is switched off")
            working, _ = await tasks.busy(submission.role)
            if working >= AGENTS:
                return {"next": "wait", "seconds": _FULL_SECONDS}
            await self.budgeted(task)
            task = await self.escalate(task)
            after = moved(task, Status.IN_PROGRESS, now, assigned_to=submission.agent_id)
            if await self._write(task, after, outbox(telling.became(after, _ACTOR))):
                return {"next": "go"}

    async def plan(self, task_id: str, run: int) -> dict[str, Any]:
        """The steps, each as the event of its own invocation."""
        task = await self._task(task_id, run)
        done = await steps.of_round(task_id, task.round)
        if steps.PLAN not in done:
            answer = await self._ask(task, steps.PLAN, prompts.plan(task, _submission(task).role), prompts.PLAN)
            criteria = task.acceptance_criteria
            titles = plan_of(answer.content, criteria, task.title)
            if answer.provider == _BUILTIN:  # it repeats what it heard: that is no plan
                titles = plan_of("", criteria, task.title)
            told = {"steps": titles, **_record(answer)}
            progress = Progress(0, len(titles), titles[0])
            done[steps.PLAN] = await self._done(task_id, run, steps.PLAN, told, progress=progress)
        count = len(done[steps.PLAN]["steps"])
        told_on = [{"step": "work", "task_id": task_id, "run": run, "index": index} for index in range(count)]
        return {"steps": told_on}

    async def work(self, task_id: str, run: int, index: int) -> dict[str, Any]:
        task = await self._task(task_id, run)
        done = await steps.of_round(task_id, task.round)
        name = steps.step_name(index)
        if name in done:
            return {}
        titles: list[str] = done[steps.PLAN]["steps"]
        earlier = [done[each] for each in map(steps.step_name, range(index)) if each in done]
        if len(earlier) < index:
            raise OutOfTurn(f"Step {index + 1} was to begin before the one before it was done")
        role = _submission(task).role
        asked = prompts.STEP_WITH_FILES if role in prompts.WRITERS else prompts.STEP
        answer = await self._ask(task, name, prompts.step(task, role, titles, index, earlier), asked)
        work = work_of(
            answer.content,
            writes=role in prompts.WRITERS,
            constraints=_constraints(await role_terms(role)),
            so_far=len({file["path"] for each in earlier for file in each["files"]}),
        )
        files = await offload(artifacts.put_away, task_id, task.round, name, work.files)
        told = {"title": titles[index], "summary": work.summary, "files": files, "left_out": list(work.left_out)}
        further = titles[index + 1] if index + 1 < len(titles) else None
        results = _results([*earlier, told])
        progress = Progress(index + 1, len(titles), further)
        await self._done(task_id, run, name, told | _record(answer), progress=progress, results=results)
        return {}

    async def review(self, task_id: str, run: int) -> dict[str, Any]:
        task = await self._task(task_id, run)
        done = await steps.of_round(task_id, task.round)
        if steps.REVIEW in done:
            return {}
        answer = await self._ask(task, steps.REVIEW, prompts.review(task, _works(done)), prompts.REVIEW)
        review = review_of(answer.content)
        told = {"approved": review.approved, "score": review.score, "comments": review.comments, **_record(answer)}
        results: dict[str, Any] = {"review": {name: told[name] for name in ("approved", "comments", "model")}}
        if review.score is not None and answer.provider != _BUILTIN:
            results["code_quality_score"] = review.score
        await self._done(task_id, run, steps.REVIEW, told, results=results)
        return {}

    async def finish(self, task_id: str, run: int) -> dict[str, Any]:
        task = await self._task(task_id, run, ended=Status.COMPLETED)
        if not task.ended:
            done = await steps.of_round(task_id, task.round)
            summary = "\n\n".join(each["summary"] for each in _works(done))[:20_000]
            results = {**task.results, "summary": summary}
            task = await self._end(task, Status.COMPLETED, results=results)
        await self.escalation_ended(task)
        await self.debts.pay(task, within=True)
        return {}

    async def fail(self, task_id: str, run: int, failure: Mapping[str, Any]) -> dict[str, Any]:
        task = await self._task(task_id, run, ended=Status.FAILED)
        if not task.ended:
            task = await self._end(task, Status.FAILED, error=reason_of(failure))
        await self.escalation_ended(task)
        await self.debts.pay(task, within=True)
        return {}

    async def _task(self, task_id: str, run: int, *, ended: Status | None = None) -> Task:
        """`ended` is the end that this very step may have written before. Raises TaskEnded."""
        task = await tasks.find(task_id)
        if task is None or task.run != run or (task.ended and task.status is not ended):
            raise TaskEnded(f"This task is {task.status if task else 'gone'}, or another execution works on it")
        return task

    async def _ask(self, task: Task, name: str, messages: Sequence[Message], asked: Mapping[str, Any]) -> Completion:
        """Raises what the state machine understands."""
        submission = _submission(task)
        role = await role_terms("critic" if name == steps.REVIEW else submission.role)
        preferences = {**role["preferences"], **submission.preferences}
        assert task.started_at is not None
        timeout = float(preferences["timeout"])
        left = timeout - (self.clock.now() - task.started_at).total_seconds()
        if left <= 0:
            raise OutOfTime(f"The task took longer than its {timeout:g} seconds")
        ask = Ask(
            messages=messages,
            response_format=asked,
            max_tokens=int(preferences["max_tokens"]),
            temperature=float(preferences["temperature"]),
        )
        terms = Terms(
            hint=role["default_model"] if name == steps.REVIEW else submission.model,
            max_budget=_MOST_FOR_A_CALL,
            max_latency_ms=int(1000 * min(left, _LONGEST_CALL)),
        )
        payer = Payer(principal=submission.by, account=submission.account, key_id=submission.key_id, task=task.id)
        journal = WorkJournal(
            "workflow", name.partition("#")[0], principal=submission.by, key_id=submission.key_id, clock=self.clock
        )
        journal.facts["task"] = {"id": task.id, "role": submission.role, "type": task.type, "user": task.created_by}
        call_id = f"{task.id}.{task.round}.{name}"
        try:
            async with journal:
                return await self.gateway.complete(ask, terms, payer, journal, call_id=call_id)
        except Failure as failure:
            raise _as_step_failure(failure) from failure

    async def _done(
        self,
        task_id: str,
        run: int,
        name: str,
        told: Mapping[str, Any],
        *,
        progress: Progress | None = None,
        results: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """Writes what was done, with what it cost and how far the task is now, exactly once."""
        while True:
            task = await self._task(task_id, run)
            after = task.changed(
                self.clock.now(),
                progress=progress or task.progress,
                results={**task.results, **(results or {})},
                cost=task.cost + told["cost"],
                model_used=task.model_used if name == steps.REVIEW else told["model"],
            )
            also = [steps.done(task_id, task.round, name, told)]
            if progress is not None:
                also.append(outbox(telling.progressed(after, _ACTOR)))
            if await self._write(task, after, *also):
                return told
            known = await steps.of_round(task_id, task.round)
            if name in known:
                found: Mapping[str, Any] = known[name]
                return found

    async def _end(self, task: Task, status: Status, **values: Any) -> Task:
        while True:
            now = self.clock.now()
            progress = replace(task.progress, step=None)
            if status is Status.FAILED and task.status is Status.PENDING:  # it could not even begin
                after = task.changed(now, status=status, ended_at=now, progress=progress, **values)
            else:
                after = moved(task, status, now, progress=progress, **values)
            also = [outbox(telling.became(after, _ACTOR)), self.debts.owe(after), *counted(after)]
            if await self._write(task, after, *also):
                return after
            task = await self._task(task.id, task.run)

    async def _write(self, before: Task, after: Task, *also: Write) -> bool:
        try:
            await offload(tasks.change, before, after, *also)
        except Unmet:
            return False
        return True


_MOST_FOR_A_CALL = 100_000_000_000  # 100 USD: what bounds a task is its budget


def reason_of(failure: Mapping[str, Any]) -> str:
    """From what a state machine has caught: the exception's own sentence, as Lambda hands it on."""
    cause = failure.get("Cause") or ""
    with suppress(ValueError, TypeError, LookupError):
        cause = json.loads(cause)["errorMessage"]
    if failure.get("Error") == "States.Timeout":
        cause = "A step took longer than it may"
    return str(cause or failure.get("Error") or "It failed for no known reason")[:2000]


def _submission(task: Task) -> Submission:
    if task.submission is None:
        raise TaskEnded("This task was not given to any agent")
    return task.submission


def _as_step_failure(failure: Failure) -> Exception:
    if failure.kind is Kind.EXHAUSTED:
        return OutOfBudget(failure.told)
    if failure.kind in _PASSING and not _hopeless(failure):
        return ModelFailed(failure.told)
    return ModelRefused(failure.told)


def _hopeless(failure: Failure) -> bool:
    """Every model that was asked has looked at the question and refused it."""
    classes = {each.get("failure") for each in failure.details.get("attempts", ())}
    return bool(classes) and classes <= _HOPELESS


def _record(answer: Completion) -> dict[str, Any]:
    return {"model": answer.model, "cost": answer.cost, "latency_ms": round(answer.latency_ms, 1)}


def _works(done: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [told for name, told in done.items() if name.startswith("work#")]


def _results(works: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """kyros.md's counts, and the files behind them."""
    brought = [file for work in works for file in work["files"]]
    files = {
        file["path"]: {name: file[name] for name in file if name not in {"content", "artifact"}} for file in brought
    }
    kinds = [file["kind"] for file in files.values()]
    return {
        "files_modified": len(files),
        "tests_added": kinds.count("test"),
        "documentation_updated": "documentation" in kinds,
        "files": list(files.values()),
    }


def _constraints(role: Mapping[str, Any]) -> Constraints:
    told = role["constraints"]
    return Constraints(int(told["max_files_per_task"]), int(told["max_diff_size"]), tuple(told["allowed_file_types"]))
