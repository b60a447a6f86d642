"""Posts told elsewhere: on Slack, and to an address of the owner's."""

import json

import pytest

from quintet.errors import Failure
from quintet.personas.cast import cast
from quintet.personas.life.crying import Elsewhere
from quintet.personas.slack.api import SlackApi
from tests.fakes.http import serving
from tests.fakes.slack import slack_server
from tests.loops import on_a_loop

TONY = cast().first


@on_a_loop
async def test_a_post_is_told_on_slack_without_paging_anybody() -> None:
    with slack_server() as slack:
        await Elsewhere(SlackApi(slack.url, "xoxb-test"), "C1").tell(TONY, "Hello <!channel> & all")
        assert slack.posts == [{"channel": "C1", "text": "*Tony*: Hello &lt;!channel&gt; &amp; all"}]


@on_a_loop
async def test_a_post_is_told_to_the_owners_address() -> None:
    with serving(lambda _: (204, {}, b"")) as site:
        await Elsewhere(webhook=f"{site.url}/hook").tell(TONY, "Grüße")
        assert [json.loads(body) for body in site.bodies] == [{"persona": "Tony", "text": "Grüße"}]


@on_a_loop
async def test_an_address_that_does_not_listen_is_said() -> None:
    await Elsewhere().tell(TONY, "Nobody is told.")
    with serving(lambda _: (500, {}, b"")) as site:
        for url in (site.url, "http://127.0.0.1:1/"):
            with pytest.raises(Failure, match="FEED_WEBHOOK_URL"):
                await Elsewhere(webhook=url).tell(TONY, "Hello")
