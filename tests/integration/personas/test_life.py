"""The life of personas over HTTP: the trigger, the feed, feeds that are fetched, the schedule's tick."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from quintet.personas.life.fetching import Feeds, Unread
from tests.conftest import Stack
from tests.fakes.http import Served, serving
from tests.gateway import Context
from tests.integration.personas.conftest import Caller, Configure
from tests.loops import on_a_loop

PATH = "/internal/life/trigger"
ACTIVITIES = ["news", "goals", "team_check", "reflection", "journal", "post"]
NAMES = ["Tony", "Maya", "Alex", "Jordan", "Riley"]
RSS = b"<rss><channel><item><title>Breaking</title><link>https://x.test/1</link></item></channel></rss>"


@pytest.fixture
def site() -> Iterator[Served]:
    """A feed, and ways that lead elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        if handler.path == "/feed":
            return 200, {"content-type": "application/rss+xml"}, RSS
        if handler.path == "/moved":
            return 302, {"location": "/feed"}, b""
        if handler.path == "/inside":
            return 302, {"location": "http://169.254.169.254/latest/meta-data"}, b""
        if handler.path == "/round":
            return 302, {"location": "/round"}, b""
        if handler.path == "/large":
            return 200, {}, b"<rss>" + b" " * (3 << 20)
        return 404, {}, b""

    with serving(answer) as served:
        yield served


def test_the_documents_answer_without_an_activity(caller: Caller) -> None:
    answer = caller("POST", PATH)
    assert (answer.status, answer.json()) == (
        400,
        {
            "error": "Missing 'activity' query parameter",
            "activities": ACTIVITIES,
            "personas": NAMES,
            "examples": [
                "/internal/life/trigger?activity=post&persona=Tony",
                "/internal/life/trigger?activity=post (triggers all personas)",
            ],
        },
    )


@pytest.mark.parametrize("query", ["activity=nap", "activity=post&persona=Nobody"])
def test_what_nobody_knows_is_400_with_the_lists(caller: Caller, query: str) -> None:
    answer = caller("POST", f"{PATH}?{query}")
    assert answer.status == 400
    assert (answer.json()["activities"], answer.json()["personas"]) == (ACTIVITIES, NAMES)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_persona_or_all_of_them_do_what_they_are_told(caller: Caller, method: str) -> None:
    one = caller(method, f"{PATH}?activity=goals&persona=tony").json()
    assert (one["persona"], one["activity"]) == ("Tony", "goals")
    assert one["result"].startswith("Reviewed 3 goals")
    everyone = caller(method, f"{PATH}?activity=team_check").json()
    assert list(everyone["results"]) == NAMES


def test_a_post_is_in_the_feed(caller: Caller) -> None:
    results = caller("POST", f"{PATH}?activity=post").json()["results"]
    posted = {name: text for name, text in results.items() if text.startswith("Posted: ")}
    feed = caller("GET", "/api/feed?limit=100").json()
    told = {(post["persona"], f"Posted: {post['text']}") for post in feed["posts"]}
    assert set(posted.items()) <= told
    assert all(len(post["text"]) <= 288 for post in feed["posts"])
    tonys = caller("GET", "/api/feed?persona=tony").json()["posts"]
    assert {post["persona"] for post in tonys} <= {"Tony"}
    assert caller("GET", "/api/feed?persona=nobody").status == 400


def test_a_feed_on_loopback_stands_in_for_the_internet(caller: Caller, configure: Configure, site: Served) -> None:
    configure(feed_sources=f"{site.url}/feed,{site.url}/gone", feeds_may_be_local=True)
    result = caller("POST", f"{PATH}?activity=news&persona=riley").json()["result"]
    assert result.startswith("Read 1 new headlines from 1 of 2 sources")
    configure(feeds_may_be_local=False)
    result = caller("POST", f"{PATH}?activity=news&persona=alex").json()["result"]
    assert "from 0 of 2 sources" in result
    assert "the port must be one of" in result


@pytest.mark.parametrize(
    ("path", "why"),
    [("/inside", "not public"), ("/round", "HTTP 302"), ("/large", "larger than"), ("/gone", "HTTP 404")],
)
def test_a_feed_leads_nowhere_else(site: Served, path: str, why: str) -> None:
    @on_a_loop
    async def test() -> None:
        with pytest.raises(Unread, match=why):
            await Feeds(may_be_local=True).read(site.url + path)

    test()


@on_a_loop
async def test_a_feed_that_moved_is_followed(site: Served) -> None:
    found = await Feeds(may_be_local=True).read(f"{site.url}/moved")
    assert [each.title for each in found] == ["Breaking"]


def test_caddy_is_told_which_hosts_are_ours(caller: Caller, configure: Configure) -> None:
    configure(caddy_allowed_hosts="Api.example.test, other.example.test.", open_access=False)
    path = "/internal/caddy-ask"
    assert caller("GET", path).status == 400
    assert caller("GET", f"{path}?domain=").status == 400
    for host in ("api.example.test", "API.example.test.", "other.example.test"):
        assert caller("GET", f"{path}?domain={host}").status == 200
    for host in ("example.test", "api.example.test..", "evil.test", "169.254.169.254", "*.example.test"):
        assert caller("GET", f"{path}?domain={host}").status == 403


def test_a_closed_stack_lets_nobody_pull_the_strings(caller: Caller, configure: Configure) -> None:
    configure(open_access=False)
    assert caller("POST", f"{PATH}?activity=goals").status == 401


def test_two_ticks_live_no_slot_twice_in_the_functions_own_role(stack: Stack, caller: Caller) -> None:
    first = stack.invoke("LifeFunction", {})["lived"]
    second = stack.invoke("LifeFunction", {})["lived"]
    assert set(first) & set(second) == set()
    assert second == []
    assert caller("GET", "/api/status").json()["active_personas"] == NAMES


def test_a_tick_of_this_process_is_heard(configure: Configure) -> None:
    import life.app

    configure(feed_sources="http://127.0.0.1:1/")
    told: dict[str, Any] = life.app.handler({}, Context())
    assert json.dumps(told["lived"])
