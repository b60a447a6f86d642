"""The room put together over the real tables, queue and gateway: once per process, at first use."""

from quintet.copies import own
from quintet.gateway.live import gateway
from quintet.personas.cast import cast
from quintet.personas.floor import Floor
from quintet.personas.inbox import Queue
from quintet.personas.memory import Memory
from quintet.personas.ports import Tasks
from quintet.personas.store import conversations, notebook, processes
from quintet.personas.talk import Talk
from quintet.personas.tools.box import Toolbox
from quintet.personas.tools.own import own_tools
from quintet.personas.tools.team import team_tools
from quintet.store.clock import SystemClock

clock = SystemClock()


@own
def floor() -> Floor:
    """One for all: turns of one session queue here before they ask the table."""
    return Floor(conversations, clock)


def toolbox(tasks: Tasks | None = None) -> Toolbox:
    """Without a task platform nobody can be given tasks."""
    return Toolbox([*own_tools(notebook, clock), *team_tools(cast(), gateway(), processes, clock, tasks)])


def talk(tools: Toolbox) -> Talk:
    return Talk(gateway(), conversations, notebook, Queue(), tools, clock, floor())


def memory() -> Memory:
    return Memory(cast(), gateway(), conversations, notebook, floor(), clock)
