"""What the routes of this function work with: made at first use."""

from personas.desk import Desk
from quintet.copies import own
from quintet.gateway.live import gateway
from quintet.personas import live
from quintet.personas.cast import cast
from quintet.personas.direct import Direct
from quintet.personas.inbox import Queue
from quintet.personas.live import clock
from quintet.personas.store import conversations, notebook
from quintet.personas.talk import Talk
from quintet.personas.tools.box import Toolbox
from quintet.personas.vapi.phone import Phone

__all__ = ["clock", "direct", "inbox", "phone", "talk"]


@own
def inbox() -> Queue:
    return Queue()


@own
def toolbox() -> Toolbox:
    return live.toolbox(Desk())


@own
def talk() -> Talk:
    return live.talk(toolbox())


@own
def direct() -> Direct:
    return Direct(gateway())


@own
def phone() -> Phone:
    return Phone(cast(), notebook, conversations, inbox(), toolbox(), clock)
