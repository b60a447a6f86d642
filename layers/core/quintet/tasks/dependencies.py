"""What a task waits for: dependencies must be there, and must not lead back to the task itself."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from quintet.errors import Failure, invalid
from quintet.tasks.model import Status, Task

Heads = Callable[[Sequence[str]], Awaitable[Mapping[str, Task]]]
_MOST_VISITED = 1000


async def check(task_id: str | None, dependencies: Sequence[str], heads: Heads) -> None:
    """Raises Failure for one that is not there, and for a circle. A new task, None, cannot be in one."""
    known = await heads(dependencies)
    missing = [each for each in dependencies if each not in known]
    if missing:
        raise _refused(f"There is no task '{missing[0]}'")
    if task_id is None:
        return
    visited, ahead = set[str](), list(dependencies)
    while ahead:
        if task_id in ahead:
            raise _refused("These dependencies lead back to the task itself: it could never begin")
        visited.update(ahead)
        if len(visited) > _MOST_VISITED:
            raise _refused(f"More than {_MOST_VISITED} tasks stand behind these dependencies")
        further = {each for task in (await heads(ahead)).values() for each in task.dependencies}
        ahead = sorted(further - visited)


def open_ones(dependencies: Iterable[str], known: Mapping[str, Task]) -> list[str]:
    """Those that are not completed yet."""
    return [each for each in dependencies if each not in known or known[each].status is not Status.COMPLETED]


def broken_one(dependencies: Iterable[str], known: Mapping[str, Task]) -> Task | None:
    """One that will never be completed."""
    return next(
        (
            known[each]
            for each in dependencies
            if each in known and known[each].ended and known[each].status is not Status.COMPLETED
        ),
        None,
    )


def _refused(issue: str) -> Failure:
    return invalid("dependencies", issue)
