"""Life put together for functions, as its owner has configured it."""

from quintet.gateway.live import gateway
from quintet.http.work import offload
from quintet.personas.cast import cast
from quintet.personas.life.activities import Life
from quintet.personas.life.crying import Elsewhere
from quintet.personas.life.fetching import Feeds
from quintet.personas.slack.api import SlackApi
from quintet.personas.store import notebook, processes
from quintet.settings import settings
from quintet.store.clock import SystemClock
from quintet.store.secrets import secret


async def life() -> Life:
    told = settings()
    slack = None
    if told.slack_feed_channel:
        slack = SlackApi(told.slack_api_url, await offload(secret, "slack_bot_token"))
    sources = tuple(each.strip() for each in told.feed_sources.split(",") if each.strip())
    return Life(
        cast(),
        gateway(),
        notebook,
        processes,
        Feeds(told.feeds_may_be_local),
        Elsewhere(slack, told.slack_feed_channel, told.feed_webhook_url),
        SystemClock(),
        sources,
    )
