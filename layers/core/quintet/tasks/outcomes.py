"""What models answered, made sense of: plans, the work of a step, reviews. Pure; a bad answer is an outcome too."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from quintet.tasks.prompts import MOST_FILES, MOST_STEPS

_FENCED = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_TITLE = 200
_SUMMARY = 8000
_KINDS = frozenset({"source", "test", "documentation"})


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a role's agents may touch."""

    most_files: int
    most_lines: int  # of a step's files together
    file_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class File:
    path: str
    kind: str
    content: str


@dataclass(frozen=True, slots=True)
class Work:
    """`left_out` says which files were not accepted, and why."""

    summary: str
    files: tuple[File, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    approved: bool
    score: int | None
    comments: str


def plan_of(text: str, criteria: Sequence[str], title: str) -> list[str]:
    """The steps' titles. A plan that leaves out a criterion is none: then the criteria are the steps."""
    steps = [each for each in _list(_object(text).get("steps")) if isinstance(each, dict)][:MOST_STEPS]
    titles = [_line(each.get("title")) for each in steps]
    met = {number for each in steps for number in _list(each.get("criteria")) if isinstance(number, int)}
    if titles and all(titles) and met >= set(range(1, len(criteria) + 1)):
        return titles
    return [_line(criterion) or title for criterion in criteria] or [_line(title)]


def work_of(text: str, *, writes: bool, constraints: Constraints, so_far: int) -> Work:
    """`so_far` files were changed by earlier steps."""
    told = _object(text)
    summary = told.get("summary")
    summary = summary if isinstance(summary, str) and summary.strip() else text
    files: list[File] = []
    left_out: list[str] = []
    lines = 0
    for file in _files(told) if writes else ():
        lines += file.content.count("\n") + 1
        why = _unfit(file, constraints)
        if why is None and so_far + len(files) >= constraints.most_files:
            why = f"more than {constraints.most_files} files"
        if why is None and lines > constraints.most_lines:
            why = f"more than {constraints.most_lines} lines"
        if why is None:
            files.append(file)
        else:
            left_out.append(f"{file.path[:_TITLE]}: {why}")
    return Work(summary.strip()[:_SUMMARY], tuple(files), tuple(left_out))


def review_of(text: str) -> Review:
    told = _object(text)
    score, comments = told.get("score"), told.get("comments")
    usable = isinstance(score, int) and not isinstance(score, bool) and 0 <= score <= 100
    return Review(
        approved=told.get("approved") is True,
        score=score if usable else None,
        comments=(comments if isinstance(comments, str) else text).strip()[:_SUMMARY],
    )


def _files(told: Mapping[str, Any]) -> Iterator[File]:
    for each in _list(told.get("files"))[:MOST_FILES]:
        if isinstance(each, dict) and isinstance(each.get("path"), str) and isinstance(each.get("content"), str):
            kind = each.get("kind")
            yield File(each["path"], kind if kind in _KINDS else "source", each["content"])


def _unfit(file: File, constraints: Constraints) -> str | None:
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or not file.path.isprintable() or "\\" in file.path:
        return "not a path within the repository"
    if path.suffix not in constraints.file_types:
        return f"files of type '{path.suffix}' are not allowed"
    return None


def _object(text: str) -> dict[str, Any]:
    """Models like to wrap JSON into prose or fences."""
    fenced = _FENCED.search(text)
    for candidate in (text, fenced[1] if fenced else "", text[text.find("{") : text.rfind("}") + 1]):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _line(value: Any) -> str:
    return " ".join(value.split())[:_TITLE] if isinstance(value, str) else ""
