"""What a persona does with the others: see what runs, ask a colleague, hand work to the task platform."""

from collections.abc import Mapping, Sequence
from typing import Any

from quintet.gateway.model import Ask, Gateway
from quintet.personas.cast import Cast
from quintet.personas.doing import Doing
from quintet.personas.model import IDLE, Metrics, Status
from quintet.personas.ports import Processes, Tasks
from quintet.personas.processes import begun
from quintet.personas.prompts import character
from quintet.personas.tools.box import Misused, Tool, text
from quintet.store.clock import Clock

_QUESTION = 2_000
_ANSWER_TOKENS = 400
_LISTED = 20


def team_tools(
    cast: Cast, gateway: Gateway, processes: Processes, clock: Clock, tasks: Tasks | None = None
) -> Sequence[Tool]:
    team = _Team(cast, gateway, processes, clock, tasks)
    names = {"type": "string", "enum": [each.id for each in cast.personas]}
    tools = [
        Tool("team_processes", "What you and your colleagues are doing now", team.doing, {}),
        Tool(
            "ask_colleague",
            "Ask one of your colleagues: " + ", ".join(f"{each.name} ({each.title})" for each in cast.personas),
            team.ask,
            {"name": names, "question": {"type": "string"}},
        ),
    ]
    if tasks is not None:
        fields = {"title": {"type": "string"}, "description": {"type": "string"}}
        told = "Put a piece of work onto the task platform, for somebody to pick up"
        tools.append(Tool("create_task", told, team.create, fields, permission="create_task"))
    return tools


class _Team:
    def __init__(self, cast: Cast, gateway: Gateway, processes: Processes, clock: Clock, tasks: Tasks | None) -> None:
        self._cast = cast
        self._gateway = gateway
        self._processes = processes
        self._clock = clock
        self._tasks = tasks

    async def doing(self, _given: Mapping[str, Any], _doing: Doing) -> str:
        now = self._clock.now()
        page = await self._processes.page(_LISTED, None)
        count = await self._processes.count(now)
        active = [each for each in page.items if each.status_at(now) is Status.RUNNING]
        lines = [f"- {each.agent}: {each.task or each.name} since {each.started_at:%H:%M} UTC" for each in active]
        return "\n".join([f"{count} processes are running.", *lines])

    async def ask(self, given: Mapping[str, Any], doing: Doing) -> str:
        """One question and one answer: a colleague has no tools here, so nobody asks in circles."""
        colleague = self._cast.find(text(given, "name", 64))
        question = text(given, "question", _QUESTION)
        if colleague is None or colleague == doing.line.persona:
            raise Misused("name must be one of your colleagues")
        now = self._clock.now()
        process = begun(colleague, "aside", f"Answer {doing.line.persona.name}", now, IDLE)
        await self._processes.begin(process)
        status, metrics = Status.FAILED, Metrics()
        try:
            messages = (
                {"role": "system", "content": character(colleague, now)},
                {"role": "user", "content": f"Your colleague {doing.line.persona.name} asks you: {question}"},
            )
            ask = Ask(messages, max_tokens=_ANSWER_TOKENS, temperature=colleague.temperature)
            completion = await self._gateway.complete(ask, doing.terms(), doing.payer, doing.journal)
            status, metrics = Status.COMPLETED, Metrics.of(completion)
        finally:
            await self._processes.end(process.id, status, metrics, self._clock.now())
        doing.spent += metrics.cost
        return f"{colleague.name}: {completion.content}"

    async def create(self, given: Mapping[str, Any], doing: Doing) -> str:
        assert self._tasks is not None
        task = await self._tasks.create(text(given, "title", 200), text(given, "description", 4_000), doing)
        return f"Task {task} is created."
