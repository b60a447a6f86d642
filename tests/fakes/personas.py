"""What personas keep, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from quintet.personas.model import Metrics, Note, Persona, Post, Process, Session, Status
from quintet.personas.store.rows import place
from quintet.store.pages import Page


class FakeProcesses:
    def __init__(self) -> None:
        self.rows: dict[str, Process] = {}

    async def begin(self, process: Process) -> bool:
        if process.id in self.rows:
            return False
        self.rows[process.id] = process
        return True

    async def end(self, process_id: str, status: Status, metrics: Metrics, now: datetime) -> None:
        known = self.rows[process_id]
        self.rows[process_id] = replace(
            known, status=status, metrics=known.metrics + metrics, active_until=now, ended_at=now
        )

    async def get(self, process_id: str) -> Process | None:
        return self.rows.get(process_id)

    async def page(self, limit: int, cursor: str | None) -> Page[Process]:
        return _paged(list(self.rows.values()), lambda each: place(each.started_at, each.id), limit, cursor)

    async def count(self, now: datetime) -> int:
        return sum(1 for each in self.rows.values() if each.active_until > now)


@dataclass
class _Row:
    session: Session | None = None
    turn: str | None = None
    until: datetime | None = None


class FakeConversations:
    def __init__(self, processes: FakeProcesses | None = None) -> None:
        self.processes = processes or FakeProcesses()
        self.rows: dict[str, _Row] = {}

    async def take(self, key: str, turn: str, now: datetime, until: datetime) -> tuple[bool, Session | None]:
        row = self.rows.setdefault(key, _Row())
        if row.turn not in (None, turn) and row.until is not None and row.until >= now:
            return False, None
        row.turn, row.until = turn, until
        return True, row.session

    async def renew(self, key: str, turn: str, until: datetime) -> None:
        if self.rows[key].turn == turn:
            self.rows[key].until = until

    async def give_back(self, key: str, turn: str) -> None:
        if self.rows[key].turn == turn:
            self.rows[key].turn = None

    async def open(self, turn: str, session: Session, process: Process) -> bool:
        row = self.rows.get(session.key)
        if row is None or row.turn != turn or not await self.processes.begin(process):
            return False
        row.session = session
        return True

    async def commit(self, turn: str, session: Session, metrics: Metrics) -> bool:
        row = self.rows.get(session.key)
        if row is None or row.turn != turn or session.process_id not in self.processes.rows:
            return False
        row.session = session
        known = self.processes.rows[session.process_id]
        self.processes.rows[known.id] = replace(
            known, metrics=known.metrics + metrics, active_until=session.active_until
        )
        return True

    async def end(self, key: str, now: datetime, status: Status = Status.COMPLETED) -> None:
        session = await self.get(key)
        if session is not None and session.active_at(now):
            self.rows[key].session = replace(session, active_until=now)
            await self.processes.end(session.process_id, status, Metrics(), now)

    async def get(self, key: str) -> Session | None:
        return self.rows[key].session if key in self.rows else None

    async def active(self, now: datetime, limit: int, cursor: str | None) -> Page[Session]:
        found = [row.session for row in self.rows.values() if row.session and row.session.active_at(now)]
        bare = [replace(each, messages=(), summary="") for each in found]
        return _paged(bare, lambda each: place(each.active_until, each.key), limit, cursor)

    async def count(self, now: datetime) -> int:
        return len((await self.active(now, 10_000, None)).items)


@dataclass
class FakeNotebook:
    """Also who was first, and who is on which call: one table keeps all of it."""

    pages: dict[str, list[Note]] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    own_goals: dict[str, Sequence[str]] = field(default_factory=dict)
    quiet: dict[str, datetime] = field(default_factory=dict)
    marks: dict[str, datetime | None] = field(default_factory=dict)  # None: finished
    calls: dict[str, dict[str, str]] = field(default_factory=dict)

    async def write(self, page: str, note: Note, expires_at: datetime | None) -> None:
        notes = [each for each in self.pages.get(page, []) if each.id != note.id]
        self.pages[page] = [*notes, note]

    async def read(self, page: str, limit: int) -> Sequence[Note]:
        return sorted(self.pages.get(page, []), key=lambda note: note.id, reverse=True)[:limit]

    async def goals(self, persona: Persona) -> Sequence[str]:
        return tuple(self.own_goals.get(persona.id, persona.goals))

    async def set_goals(self, persona: Persona, goals: Sequence[str]) -> None:
        self.own_goals[persona.id] = goals

    async def post(self, post: Post, quiet_until: datetime) -> bool:
        if self.quiet.get(post.persona, post.at) > post.at:
            return False
        self.quiet[post.persona] = quiet_until
        self.posts.append(post)
        return True

    async def feed(self, limit: int, cursor: str | None, persona: str | None) -> Page[Post]:
        return _paged([each for each in self.posts if persona in (None, each.persona)], lambda e: e.id, limit, cursor)

    async def claim(self, mark: str, now: datetime, until: datetime, expires_at: datetime) -> bool:
        if mark in self.marks:
            held = self.marks[mark]
            if held is None or held > now:
                return False
        self.marks[mark] = until
        return True

    async def finish(self, mark: str) -> None:
        self.marks[mark] = None

    async def drop(self, mark: str) -> None:
        self.marks.pop(mark, None)

    async def note(self, call_id: str, facts: Mapping[str, str], expires_at: datetime) -> None:
        self.calls.setdefault(call_id, {}).update(facts)

    async def find(self, call_id: str) -> Mapping[str, str]:
        return dict(self.calls.get(call_id, {}))


@dataclass
class FakeInbox:
    jobs: list[Mapping[str, Any]] = field(default_factory=list)

    async def put(self, job: Mapping[str, Any]) -> None:
        self.jobs.append(job)


def _paged(items: list[Any], key: Any, limit: int, cursor: str | None) -> Page[Any]:
    found = sorted((each for each in items if cursor is None or key(each) < cursor), key=key, reverse=True)
    return Page(found[:limit], key(found[limit - 1]) if len(found) > limit else None)
