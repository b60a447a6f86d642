"""The event log's stream: gives every event its number, then passes it on to those who wait for it."""

from quintet.telemetry.lambdas import consume

from datetime import timedelta
from typing import Any

from quintet.events import store as log
from quintet.events.platform import PLATFORM
from quintet.identity.standing import Standing
from quintet.identity.store import keys, users
from quintet.sockets import store as connections
from quintet.sockets.following import store as followers
from quintet.sockets.following.telling import Telling as Following
from quintet.sockets.posts import Posts
from quintet.store.clock import SystemClock
from quintet.webhooks.queue import DeliveryQueue
from quintet.webhooks.standing import OwnersStanding
from quintet.webhooks.store import deliveries, endpoints
from quintet.webhooks.telling import Telling

_STALE = timedelta(minutes=1)
_PASSED_ON = f"log#{PLATFORM}#"

_clock = SystemClock()
_telling = Telling(endpoints, deliveries, DeliveryQueue(), OwnersStanding(_clock))
_followers = Following(followers, log, Posts(connections), Standing(keys.find, users.get, _clock), _clock)


@consume
async def handler(event: dict[str, Any]) -> dict[str, Any]:
    """Takes the stream's records of the outbox and of the platform's log, and a tick that looks for what got lost.

    An event comes by twice: out of the outbox it gets its number, and as an entry of the log it is passed on. So each
    step is told again by the stream until it is done, and doing it twice changes nothing.
    """
    if "Records" not in event:
        return {"numbered": sweep()}
    images = [record["dynamodb"]["NewImage"] for record in event["Records"] if record["eventName"] == "INSERT"]
    outbox = [image for image in images if image["pk"]["S"].startswith("outbox#")]
    entries = [log.entry_of_image(image) for image in images if image["pk"]["S"].startswith(_PASSED_ON)]
    numbered = len(log.number([log.event_of_image(image) for image in outbox]))
    deliveries_made = await _telling.tell(entries, _clock.now())
    return {"numbered": numbered, "deliveries": deliveries_made, "followers": await _followers.pass_on(entries)}


def sweep() -> int:
    before = SystemClock().now() - _STALE
    return sum(len(log.number(log.waiting(shard, before))) for shard in range(log.OUTBOX_SHARDS))
