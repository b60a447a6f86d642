"""kyros.md's protocol over the real tables, and the few seconds that a caller has to say who it is."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from quintet.copies import own
from quintet.events import store as log
from quintet.http.work import offload
from quintet.identity.credentials import Credential
from quintet.identity.model import Principal
from quintet.identity.standing import Standing
from quintet.identity.store import keys, users
from quintet.settings import settings
from quintet.sockets.following import store as followers
from quintet.sockets.following.protocol import AUTH_SECONDS, Following
from quintet.sockets.following.telling import Telling
from quintet.sockets.model import Connection
from quintet.store.clock import SystemClock
from quintet.store.meter import charged
from sockets.services import connections, door, messages, poster

_clock = SystemClock()


@own
def following() -> Following:
    telling = Telling(followers, log, poster, Standing(keys.find, users.get, _clock), _clock)
    return Following(connections, followers, telling, log, poster, authenticate, curfew_for, _clock)


async def authenticate(connection: Connection, credential: Credential, now: datetime) -> Principal:
    """Counted by the address, whoever the connection was so far: what it was may have expired."""
    async with messages.admitted(replace(connection, principal=None), "sockets"):
        return await door.authenticate(credential, now)


async def curfew_for(connection_id: str) -> None:
    await offload(_send, connection_id)


def _send(connection_id: str) -> None:
    _sqs().send_message(QueueUrl=settings().curfews_queue_url, MessageBody=connection_id, DelaySeconds=AUTH_SECONDS)


@own
def _sqs() -> Any:
    import botocore.session

    client = botocore.session.get_session().create_client("sqs", region_name=settings().aws_region)
    return charged(client, "sqs_request")
