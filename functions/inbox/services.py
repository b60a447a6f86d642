"""The inbox's kinds of work, over the real tables and the real gateway."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from quintet.copies import own
from quintet.gateway.journals import WorkJournal
from quintet.http.work import offload
from quintet.personas import live
from quintet.personas.cast import cast
from quintet.personas.live import clock
from quintet.personas.paying import house_payer
from quintet.personas.slack.api import SlackApi
from quintet.personas.slack.events import Mention
from quintet.personas.slack.replying import Replying
from quintet.personas.store import notebook
from quintet.settings import Settings, settings
from quintet.store.secrets import secret

log = logging.getLogger("quintet.personas")

Job = Mapping[str, Any]

_CLAIMED = timedelta(minutes=3)
_REMEMBERED = timedelta(days=7)


@own
def slack(token: str) -> SlackApi:
    return SlackApi(settings().slack_api_url, token)


@own
def replying(token: str) -> Replying:
    return Replying(cast(), live.talk(live.toolbox()), slack(token), notebook, notebook, clock)


async def answer_mention(job: Job) -> None:
    token = await offload(secret, "slack_bot_token")
    if not token and settings().slack_api_url == Settings().slack_api_url:
        log.error("a mention stays unanswered: set SLACK_BOT_TOKEN")
        return
    async with WorkJournal("inbox", "slack", principal="persona-slack") as journal:
        await replying(token).reply(Mention.read(job["mention"]), house_payer("slack"), journal)


async def remember_call(job: Job) -> None:
    """VAPI may report a call twice."""
    mark, now = f"report#{job['call']}", clock.now()
    if not await notebook.claim(mark, now, now + _CLAIMED, now + _REMEMBERED):
        return
    try:
        async with WorkJournal("inbox", "vapi", principal="persona-vapi") as journal:
            await live.memory().remember(
                job["scope"],
                job["caller"],
                job["agent"],
                job["call"],
                summary=job["summary"],
                transcript=job["transcript"],
                payer=house_payer("vapi"),
                journal=journal,
            )
    except BaseException:
        await notebook.drop(mark)
        raise
    await notebook.finish(mark)


async def fold_session(job: Job) -> None:
    async with WorkJournal("inbox", "fold", principal="persona-memory") as journal:
        await live.memory().fold(job["session"], house_payer("memory"), journal)


WORK: Mapping[str, Callable[[Job], Awaitable[None]]] = {
    "slack": answer_mention,
    "report": remember_call,
    "fold": fold_session,
}
