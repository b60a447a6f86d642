"""Agents in memory, with the table's conditions; and shelves of policies made on the spot."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from policies.anatomy import Sizes, untrained
from policies.graph import exported
from quintet.policy.model import Agent, Change, Lost, NamedStep, Taken

SMALL = Sizes(observation=4, actions=2, linear=8, gru=8, latent=8, slots=4, width=4, readers=1, head=8)
ARM = Sizes(
    observation=3, actions=2, continuous=True, linear=8, gru=8, layers=2, latent=8, slots=4, width=4, readers=2, head=8
)


@dataclass
class FakeAgents:
    """`reads` and `writes` count the calls; a key in `contended` loses every race."""

    rows: dict[str, Agent] = field(default_factory=dict)
    steps: dict[tuple[str, str, str], NamedStep] = field(default_factory=dict)
    contended: set[str] = field(default_factory=set)
    reads: int = 0
    writes: int = 0

    async def read(self, key: str) -> Agent | None:
        self.reads += 1
        return self.rows.get(key)

    async def read_many(self, keys: Sequence[str]) -> dict[str, Agent]:
        self.reads += 1
        return {key: self.rows[key] for key in keys if key in self.rows}

    async def write(self, change: Change) -> None:
        self.writes += 1
        self._check([change])
        self.rows[change.key] = change.after

    async def write_named(self, change: Change, step: NamedStep) -> None:
        self.writes += 1
        place = (change.key, change.after.life, step.id)
        if place in self.steps:
            raise Taken(self.steps[place].fingerprint, self.steps[place].answer)
        self._check([change])
        self.rows[change.key] = change.after
        self.steps[place] = step

    async def write_many(self, changes: Sequence[Change]) -> None:
        self.writes += 1
        self._check(changes)
        self.rows.update((change.key, change.after) for change in changes)

    async def replace(self, key: str, agent: Agent) -> None:
        self.writes += 1
        self.rows[key] = agent

    async def remove(self, key: str) -> None:
        self.rows.pop(key, None)

    def _check(self, changes: Sequence[Change]) -> None:
        """All or nothing, as within one transaction."""
        if not all(self._follows(change) for change in changes):
            raise Lost({change.key: self.rows.get(change.key) for change in changes})

    def _follows(self, change: Change) -> bool:
        now = self._standing(change.key, change.after.at)
        if change.key in self.contended:
            return False
        if now is None or change.before is None:
            return now is change.before
        return (now.life, now.version) == (change.before.life, change.before.version)

    def _standing(self, key: str, at: datetime) -> Agent | None:
        now = self.rows.get(key)
        return now if now is not None and now.expires_at > at else None


@dataclass
class FakeShelf:
    files: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    async def read(self, name: str) -> bytes | None:
        self.reads.append(name)
        return self.files.get(name)

    def put(self, name: str, version: str, graph: bytes, *, sha256: str | None = None) -> None:
        card = json.loads(self.files.get(f"{name}/card.json", b'{"versions": {}}'))
        card["latest"] = version
        card["versions"][version] = {"sha256": sha256 or hashlib.sha256(graph).hexdigest()}
        self.files[f"{name}/card.json"] = json.dumps(card).encode()
        self.files[f"{name}/{version}.onnx"] = graph


def shelf() -> FakeShelf:
    """`small` chooses between two actions, `arm` answers two numbers; neither has learnt anything."""
    found = FakeShelf()
    for name, sizes in (("small", SMALL), ("arm", ARM)):
        found.put(name, "1", exported(sizes, untrained(sizes, seed=1), name))
    return found
