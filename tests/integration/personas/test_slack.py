"""Slack from its event to our answer: the signed request, the queue, the inbox, a Web API on loopback."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quintet.personas.slack.signing import signature_of
from tests.conftest import Stack
from tests.fakes.slack import SlackServer, slack_server
from tests.gateway import Answer, Context
from tests.integration.personas.conftest import Caller, Configure
from tests.processes import eventually

KEY = "8f742231b10e8888abcd99yyyzzz85a5"
EVENT = {
    "type": "app_mention",
    "user": "U1234567890",
    "text": "<@U0987654321> What do you think about this?",
    "channel": "C1234567890",
    "ts": "1705312200.000000",
}

Send = Callable[..., Answer]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


@pytest.fixture
def send(caller: Caller, configure: Configure, slack: SlackServer) -> Send:
    import inbox.services

    inbox.services.slack.cache_clear()
    inbox.services.replying.cache_clear()
    configure(slack_signing_secret=KEY, slack_bot_token="xoxb-test", slack_api_url=slack.url)

    def post(told: Any, *, stamp: str | None = None, secret: str = KEY) -> Answer:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        stamp = stamp or str(int(time.time()))
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature_of(secret, stamp, body)}
        return caller("POST", "/slack/events", body=body, headers=headers)

    return post


def callback(**event: Any) -> dict[str, Any]:
    identifier = f"Ev{secrets.token_hex(6)}"
    return {"type": "event_callback", "team_id": "T1", "event_id": identifier, "event": {**EVENT, **event}}


def work(*jobs: dict[str, Any]) -> Any:
    """What the inbox function makes of these messages."""
    import inbox.app

    records = [{"messageId": str(number), "body": json.dumps(job)} for number, job in enumerate(jobs)]
    return inbox.app.handler({"Records": records}, Context())


def job_of(told: dict[str, Any]) -> dict[str, Any]:
    from quintet.personas.slack.events import mention_of

    mention = mention_of(told)
    assert mention is not None
    return {"kind": "slack", "mention": mention.told()}


def test_the_documents_challenge(send: Send) -> None:
    answer = send({"type": "url_verification", "challenge": "challenge-string"})
    assert (answer.status, answer.json()) == (200, {"challenge": "challenge-string"})
    assert send({"type": "url_verification"}).status == 400


def test_a_forged_or_stale_request_is_401_and_does_nothing(send: Send, slack: SlackServer) -> None:
    for answer in (
        send(callback(), secret="other"),
        send(callback(), stamp=str(int(time.time()) - 600)),
        send(callback(), stamp="yesterday"),
        send({"type": "url_verification", "challenge": "x"}, secret="other"),
    ):
        assert answer.status == 401
        assert answer.json()["error"].keys() == {"message", "type"}
    assert slack.posts == []


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"null"])
def test_what_is_malformed_is_400(send: Send, body: bytes) -> None:
    assert send(body).status == 400


def test_what_is_not_for_us_is_taken_and_left(send: Send) -> None:
    for told in ({"type": "app_rate_limited"}, {}, callback(bot_id="B1"), callback(type="reaction_added")):
        assert (send(told).status, send(told).json()) == (200, {"ok": True})


def test_characters_that_no_queue_takes_are_no_failure_of_ours(send: Send) -> None:
    odd = json.dumps(callback()).replace("What do you", r"\ud800 \u0000 \uffff")
    assert (send(odd.encode()).status, send(odd.encode()).json()) == (200, {"ok": True})


def test_an_event_told_five_times_is_answered_once_in_its_thread(send: Send, slack: SlackServer) -> None:
    told = callback(text=f"<@U0987654321> {secrets.token_hex(4)}")
    job = job_of(told)
    assert work(*[job] * 5) == {"batchItemFailures": []}
    (post,) = slack.posts
    assert post["channel"] == EVENT["channel"]
    assert post["thread_ts"] == EVENT["ts"]
    assert told["event"]["text"].split()[1] in post["text"]
    assert slack.tokens == {"Bearer xoxb-test"}


def test_slack_is_asked_again_when_it_wants_us_to_wait(send: Send, slack: SlackServer) -> None:
    slack.answers.append((429, {"retry-after": "0"}, {"ok": False, "error": "ratelimited"}))
    assert work(job_of(callback(text=secrets.token_hex(4)))) == {"batchItemFailures": []}
    assert len(slack.posts) == 1


def test_a_limit_that_lasts_goes_back_to_the_queue(send: Send, slack: SlackServer) -> None:
    job = job_of(callback(text=secrets.token_hex(4)))
    slack.answers.append((429, {"retry-after": "120"}, {"ok": False, "error": "ratelimited"}))
    assert work(job) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert work(job) == {"batchItemFailures": []}
    assert len(slack.posts) == 1


def test_a_job_that_nobody_knows_fails_alone(send: Send, slack: SlackServer) -> None:
    told = work({"kind": "nothing"}, job_of(callback(text=secrets.token_hex(4))), {})
    assert [each["itemIdentifier"] for each in told["batchItemFailures"]] == ["0", "2"]
    assert len(slack.posts) == 1


@pytest.fixture
def with_slack(stack: Stack, slack: SlackServer) -> Iterator[None]:
    """The deployed inbox is told of the Web API."""
    name = stack.system.deployed.names["InboxFunction"]
    told = stack.lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    more = {"SLACK_BOT_TOKEN": "xoxb-test", "SLACK_API_URL": slack.url}
    stack.lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {**told, **more}})
    yield
    stack.lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": told})


@pytest.mark.usefixtures("with_slack")
def test_an_event_goes_through_the_queue_in_the_functions_own_roles(send: Send, slack: SlackServer) -> None:
    began = time.monotonic()
    assert send(callback(text=f"<@U0987654321> {secrets.token_hex(4)}")).status == 200
    assert time.monotonic() - began < 3
    assert eventually(lambda: slack.posts)[0]["thread_ts"] == EVENT["ts"]
