"""What the protocols share: the door, the connections, the way back to them, and messages as requests."""

from quintet.identity.door import gate
from quintet.sockets import store as connections
from quintet.sockets.messages import Messages
from quintet.sockets.posts import Posts
from quintet.telemetry.requests import record

__all__ = ["connections", "door", "messages", "poster"]

door = gate()
poster = Posts(connections)
messages = Messages(door, record)
