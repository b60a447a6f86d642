"""The life of a task."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quintet.errors import Failure, Kind
from quintet.tasks.model import ENDED, MOST_TAGS, Progress, Status, Submission, Task, moved
from quintet.tasks.store.listing import moves_of, rows_of
from quintet.tasks.store.rows import body_of, head_of, task_of
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
    """Beside them are head, body, event, promise and debt, two histograms and the sums, and one of each tag."""
    _, come, _ = moves_of(None, _tagged(tags))
    assert len(come) + 5 + 3 + tags <= 100


@pytest.mark.parametrize("tags", [0, 2, 3, 6])
def test_what_comes_with_a_change_fits_into_its_transaction_and_what_goes_later_is_of_lists_that_the_task_left(
    tags: int,
) -> None:
    """Beside it are head, body, event, debt, figures and a step."""
    begun = moved(_tagged(tags), Status.IN_PROGRESS, LATER)
    ended = moved(begun, Status.COMPLETED, LATER + timedelta(minutes=1))
    retold, come, gone = moves_of(begun, ended)
    left = 100 - (len(retold) + len(come) + 6 + 3 + tags)
    assert left >= 0
    lists = {row.list for row in rows_of(ended)}
    assert not any(row.list in lists for row in gone[left:])


def test_what_entries_tell_changes_with_the_task() -> None:
    """It is the one thing that no reader could tell to be older, or newer."""
    tags = tuple(map(str, range(2 * MOST_TAGS)))
    for kept in range(MOST_TAGS + 1):
        task = replace(GIVEN, tags=tags[:MOST_TAGS], created_by="ada")
        after = moved(task, Status.IN_PROGRESS, LATER, tags=tags[kept : kept + MOST_TAGS], assignee_role="critic")
        retold, _, _ = moves_of(task, after)
        assert retold
        assert len(retold) + 6 + 3 + MOST_TAGS + kept <= 100


def _tagged(tags: int) -> Task:
    return replace(GIVEN, assignee_role="critic", tags=tuple(map(str, range(tags))), deadline=LATER, run=1)
