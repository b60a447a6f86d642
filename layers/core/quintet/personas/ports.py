"""What the room needs of others: tables, a queue, tools. Each has a fake that passes the same tests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from quintet.personas.doing import Doing, Line
from quintet.personas.model import Metrics, Note, Persona, Post, Process, Session, Status
from quintet.store.pages import Page


class Conversations(Protocol):
    """Sessions. What holds a turn's token writes; nobody else does."""

    async def take(self, key: str, turn: str, now: datetime, until: datetime, /) -> tuple[bool, Session | None]:
        """Whether the floor was free, and the session as it is."""
        ...

    async def renew(self, key: str, turn: str, until: datetime, /) -> None: ...

    async def give_back(self, key: str, turn: str, /) -> None: ...

    async def open(self, turn: str, session: Session, process: Process, /) -> bool:
        """A session and its process, together. False when there is a process of this id already."""
        ...

    async def commit(self, turn: str, session: Session, metrics: Metrics, /) -> bool:
        """The session as it is after a turn, and what the turn cost its process. False when the floor was lost."""
        ...

    async def end(self, key: str, now: datetime, status: Status = Status.COMPLETED, /) -> None:
        """The caller has gone, and the process with it."""
        ...

    async def get(self, key: str, /) -> Session | None: ...

    async def active(self, now: datetime, limit: int, cursor: str | None, /) -> Page[Session]:
        """Those that are not over, without their messages, the latest first."""
        ...

    async def count(self, now: datetime, /) -> int: ...


class Processes(Protocol):
    async def begin(self, process: Process, /) -> bool:
        """False when there is one of this id already."""
        ...

    async def end(self, process_id: str, status: Status, metrics: Metrics, now: datetime, /) -> None:
        """`metrics` are added to what the process has."""
        ...

    async def get(self, process_id: str, /) -> Process | None: ...

    async def page(self, limit: int, cursor: str | None, /) -> Page[Process]:
        """The newest first."""
        ...

    async def count(self, now: datetime, /) -> int:
        """Those that are not over."""
        ...


class Notebook(Protocol):
    """What personas keep: journals, news, goals, posts, what they remember of callers."""

    async def write(self, page: str, note: Note, expires_at: datetime | None, /) -> None: ...

    async def read(self, page: str, limit: int, /) -> Sequence[Note]:
        """The newest first."""
        ...

    async def goals(self, persona: Persona, /) -> Sequence[str]: ...

    async def set_goals(self, persona: Persona, goals: Sequence[str], /) -> None: ...

    async def post(self, post: Post, quiet_until: datetime, /) -> bool:
        """False while this persona has to be quiet."""
        ...

    async def feed(self, limit: int, cursor: str | None, persona: str | None, /) -> Page[Post]: ...


class Marks(Protocol):
    """Who was first: of all who claim a mark, one gets it."""

    async def claim(self, mark: str, now: datetime, until: datetime, expires_at: datetime, /) -> bool:
        """Until `until` it is the claimer's alone; after that, unless it was finished, somebody else may try."""
        ...

    async def finish(self, mark: str, /) -> None: ...

    async def drop(self, mark: str, /) -> None: ...


class Calls(Protocol):
    """Who is on which phone call."""

    async def note(self, call_id: str, facts: Mapping[str, str], expires_at: datetime, /) -> None:
        """Adds to what is known."""
        ...

    async def find(self, call_id: str, /) -> Mapping[str, str]: ...


class Inbox(Protocol):
    """Work that must not keep a caller waiting."""

    async def put(self, job: Mapping[str, Any], /) -> None: ...


class Toolbox(Protocol):
    """What a persona can do by itself."""

    def offered(self, line: Line, /) -> Sequence[Mapping[str, Any]]:
        """In OpenAI's shape."""
        ...

    async def use(self, name: str, arguments: str, doing: Doing, /) -> str:
        """What came of it, for the model. A tool that fails says so: it never raises."""
        ...


class Tasks(Protocol):
    """The task platform, where there is one."""

    async def create(self, title: str, description: str, doing: Doing, /) -> str:
        """The new task's id. Raises Failure."""
        ...
