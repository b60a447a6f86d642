"""The life of a task."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.tasks.model import ENDED, MOST_TAGS, Progress, Status, Submission, Task, moved
from quintet.tasks.store.counts import moves
from quintet.tasks.store.entries import FEW_TAGS, tells_all
from quintet.tasks.store.entries import summaries_of as told_in
from quintet.tasks.store.listing import moves_of, rows_of
from quintet.tasks.store.rows import body_of, head_of, summaries_of, task_of
from quintet.tasks.store.tasks import MOST_WRITES
from quintet.tasks.telling import became, estimated_completion, progressed

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
TASK = Task(id="task_1", title="List orders", created_at=NOW, created_by="ada", updated_at=NOW)
GIVEN = replace(TASK, submission=Submission("sub_1", "critic", "agent_1", NOW, "ada", "key#1", "glm-4.5", 60))

ALLOWED = {
    (Status.PENDING, Status.IN_PROGRESS),
    (Status.PENDING, Status.CANCELLED),
    *((Status.IN_PROGRESS, end) for end in ENDED),
}


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_only_the_steps_of_its_life_are_taken(before: Status, after: Status) -> None:
    task = replace(TASK, status=before)
    if before is after or (before, after) in ALLOWED:
        assert moved(task, after, LATER).status is after
    else:
        with pytest.raises(Failure) as refused:
            moved(task, after, LATER)
        assert refused.value.kind is Kind.CONFLICT


def test_what_an_agent_has_been_given_counts_as_begun() -> None:
    assert moved(GIVEN, Status.COMPLETED, LATER).ended_at == LATER


def test_a_change_counts_and_tells_the_time() -> None:
    task = moved(TASK, Status.IN_PROGRESS, LATER)
    assert (task.rev, task.updated_at, task.started_at) == (2, LATER, LATER)
    assert task.etag == '"2"'


def test_a_task_survives_being_written_and_read() -> None:
    task = replace(
        GIVEN,
        description="ü\n",
        tags=("a",),
        dependencies=("task_0",),
        deadline=LATER,
        metadata={"estimated_hours": 8.5},
        progress=Progress(1, 3, "Next"),
        results={"files": [{"path": "a.py"}]},
        cost=12345,
    )
    assert task_of(task.id, task.rev, head_of(task), body_of(task)) == task


def test_the_end_is_estimated_at_the_pace_so_far() -> None:
    begun = moved(TASK, Status.IN_PROGRESS, NOW)
    assert estimated_completion(begun) is None
    going = begun.changed(NOW + timedelta(minutes=2), progress=Progress(1, 3, "Next"))
    assert estimated_completion(going) == NOW + timedelta(minutes=6)


def test_events_hold_the_documents_fields() -> None:
    going = moved(TASK, Status.IN_PROGRESS, NOW).changed(LATER, progress=Progress(3, 5, "Implementing OAuth2"))
    told = progressed(going, "agent")
    assert told.type == "task.progress"
    assert {name: told.data[name] for name in ("task_id", "status", "progress", "current_step")} == {
        "task_id": "task_1",
        "status": "in_progress",
        "progress": {"completed_steps": 3, "total_steps": 5, "percentage": 60},
        "current_step": "Implementing OAuth2",
    }
    assert became(replace(TASK, status=Status.FAILED, error="no luck"), "agent").data["error"] == "no luck"


@pytest.mark.parametrize("tags", [0, 2, 4])
def test_a_task_and_all_its_rows_come_in_one_transaction(tags: int) -> None:
    """Beside them are head, body, event, promise and debt, and what counts."""
    task = _tagged(tags)
    assert len(rows_of(task)) + 5 + _counted(None, task) <= MOST_WRITES


@pytest.mark.parametrize("tags", [0, 3, 6, 9])
def test_what_does_not_fit_into_its_transaction_is_of_lists_that_the_task_left_or_comes_to(tags: int) -> None:
    """Beside it are head, body, event, debt, figures and a step, and what counts."""
    begun = moved(_tagged(tags), Status.IN_PROGRESS, LATER)
    ended = moved(begun, Status.COMPLETED, LATER + timedelta(minutes=1))
    bound, others = moves_of(begun, ended)
    left = MOST_WRITES - (len(bound) + 6 + _counted(begun, ended))
    both = {row.list for row in rows_of(begun)} & {row.list for row in rows_of(ended)}
    assert not any(move.row.list in both for move in others[left:])


def test_what_is_believed_or_told_anew_fits_into_the_transaction_whatever_changes() -> None:
    tags = tuple(map(str, range(2 * MOST_TAGS)))
    for had, has in itertools.product((0, 1, FEW_TAGS, FEW_TAGS + 1, MOST_TAGS), repeat=2):
        for kept in range(min(had, has) + 1):
            task = replace(_tagged(0), tags=tags[:had])
            new = tags[had - kept : had - kept + has]
            others = {"type": "review", "priority": "high", "assignee_role": "architect", "deadline": None}
            after = moved(task, Status.IN_PROGRESS, LATER, tags=new, **others)
            bound, _ = moves_of(task, after)
            assert len(bound) + 6 + _counted(task, after) <= MOST_WRITES


@pytest.mark.parametrize("tags", [0, FEW_TAGS, FEW_TAGS + 1, MOST_TAGS])
def test_entries_tell_all_that_lists_show_unless_there_are_many_of_them(tags: int) -> None:
    task = _tagged(tags)
    told = [(task.id, row.told) for row in rows_of(task) if row.told and tells_all(row.told)]
    assert bool(told) is (tags <= FEW_TAGS)
    for summary in told_in(told):
        (of_head,) = summaries_of([(task.id, head_of(task))])
        assert summary == of_head._replace(tags=[*of_head.tags])


def _counted(before: Task | None, after: Task) -> int:
    return len(list(moves(before, after)))


def _tagged(tags: int) -> Task:
    return replace(GIVEN, assignee_role="critic", tags=tuple(map(str, range(tags))), deadline=LATER, run=1)
