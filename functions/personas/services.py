"""The room's verbs over the real tables, queue and gateway: made at first use."""

from functools import cache

from personas.desk import Desk
from quintet.gateway.live import gateway
from quintet.personas.cast import cast
from quintet.personas.direct import Direct
from quintet.personas.floor import Floor
from quintet.personas.inbox import Queue
from quintet.personas.store import conversations, notebook, processes
from quintet.personas.talk import Talk
from quintet.personas.tools.box import Toolbox
from quintet.personas.tools.own import own_tools
from quintet.personas.tools.team import team_tools
from quintet.personas.vapi.phone import Phone
from quintet.store.clock import SystemClock

clock = SystemClock()


@cache
def inbox() -> Queue:
    return Queue()


@cache
def toolbox() -> Toolbox:
    return Toolbox([*own_tools(notebook, clock), *team_tools(cast(), gateway(), processes, clock, Desk())])


@cache
def talk() -> Talk:
    floor = Floor(conversations, clock)
    return Talk(gateway(), conversations, notebook, inbox(), toolbox(), clock, floor)


@cache
def direct() -> Direct:
    return Direct(gateway())


@cache
def phone() -> Phone:
    return Phone(cast(), notebook, conversations, inbox(), toolbox(), clock)
