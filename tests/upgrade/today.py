"""What a test asks of today's code over the data of another version."""

from collections.abc import Iterator
from typing import Any

from infra.local.children import ROOT, Child
from infra.local.front import Routes
from infra.local.template import Template
from tests.gateway import answer, event
from tests.upgrade.recording import Recording, items_of
from tests.upgrade.story import Callers

_SECONDS = 60.0


class Today:
    def __init__(self, recording: Recording, environment: dict[str, str], dynamodb: Any) -> None:
        self.recording = recording
        self._prefix, self._dynamodb = environment["TABLE_PREFIX"], dynamodb
        self._counted = {each["record_id"]["S"] for each in recording.tables["requests"]}
        self.callers = Callers(self._send, dict(recording.known))
        self.begun: list[tuple[str, str, int]] = []  # executions, which nobody has run yet
        functions = Template(ROOT / "template.yaml").functions.values()
        self._routes = Routes([(route, each.module) for each in functions for route in each.routes])
        self._child = Child("tests.upgrade.serving", {"at": recording.at}, environment=environment)
        self._child.reply(_SECONDS)

    def stop(self) -> None:
        self._child.stop()

    def passes(self, seconds: float) -> None:
        self._ask(seconds=seconds)

    def call(self, function: str, what: Any) -> Any:
        """A handler's own answer."""
        told = self._ask(function=function, event=what)
        assert "raised" not in told, told["raised"]
        return told["answer"]

    def number(self) -> None:
        """What waits in the outbox gets its place in the log, as the schedule sees to it."""
        self.passes(120)
        self.call("fanout", {})

    def tell(self) -> None:
        """The log's stream, of what came into it since."""
        fresh = [each for table, each in self.new_items() if table == "events" and "log#" in each["pk"]["S"]]
        told = [{"eventName": "INSERT", "dynamodb": {"NewImage": each}} for each in fresh]
        self.call("fanout", {"Records": told})

    def roll_up(self) -> None:
        """The request log's stream, of what it has not told yet."""
        fresh = [
            each
            for each in items_of(self._dynamodb, f"{self._prefix}requests")
            if each["record_id"]["S"] not in self._counted
        ]
        self._counted |= {each["record_id"]["S"] for each in fresh}
        told = [
            {"eventName": "INSERT", "dynamodb": {"Keys": {"record_id": each["record_id"]}, "NewImage": each}}
            for each in fresh
        ]
        self.call("rollup", {"Records": told})

    def new_items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What lies under keys that the recording does not have, by table."""
        for table, then in self.recording.tables.items():
            names = [each["AttributeName"] for each in self._described(table)["KeySchema"]]
            known = {tuple(str(item[name]) for name in names) for item in then}
            for item in items_of(self._dynamodb, self._prefix + table):
                if tuple(str(item[name]) for name in names) not in known:
                    yield table, item

    def _described(self, table: str) -> dict[str, Any]:
        told: dict[str, Any] = self._dynamodb.describe_table(TableName=self._prefix + table)["Table"]
        return told

    def work(self) -> None:
        """Runs what was begun to its end, step by step, as the state machines do."""
        while self.begun:
            kind, subject, run = self.begun.pop(0)
            for step in self._task(subject, run) if kind == "task" else self._escalation(subject, run):
                self.call("workflow", step)

    def _task(self, task_id: str, run: int) -> Iterator[dict[str, Any]]:
        own = {"task_id": task_id, "run": run}
        begun = self.call("workflow", {"step": "begin", **own})
        while begun["next"] != "go":
            self.passes(begun["seconds"])
            begun = self.call("workflow", {"step": "begin", **own})
        yield from self.call("workflow", {"step": "plan", **own})["steps"]
        yield {"step": "review", **own}
        yield {"step": "finish", **own}

    def _escalation(self, escalation_id: str, run: int) -> Iterator[dict[str, Any]]:
        own = {"escalation_id": escalation_id, "run": run}
        if self.call("workflow", {"step": "open_escalation", **own})["status"] == "approved":
            yield {"step": "rerun", **own}

    def _send(self, method: str, target: str, *, headers: dict[str, str], json: Any = None) -> tuple[int, Any]:
        module = self._routes.find(method, target.partition("?")[0])
        assert module, target
        said = answer(self.call(module.split(".")[0], event(method, target, headers=headers, json=json)))
        return said.status, said.json() if said.headers["content-type"].startswith("application/json") else said.text

    def _ask(self, **what: Any) -> Any:
        self._child.tell(what)
        told = self._child.reply(_SECONDS)
        self.begun += [tuple(each) for each in told["begun"]]
        return told
