"""Slack's events: /slack/events. Answered at once; the inbox does the work."""

from typing import Any

from fastapi import APIRouter, Request

from personas.access import speaker
from personas.bodies import parsed
from personas.services import inbox
from quintet.errors import Failure, Kind
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.personas.slack.events import mention_of
from quintet.personas.slack.signing import signed_by_slack
from quintet.store.secrets import secret

router = APIRouter(prefix="/slack")

_FORGED = "The request is not signed by Slack, or its timestamp is more than five minutes off"


@router.post("/events")
async def events(request: Request) -> Json:
    body = await request.body()
    await _check(request, body)
    told = parsed(body)
    if told.get("type") == "url_verification":
        return Json({"challenge": _challenge(told)})
    mention = mention_of(told)
    if mention is not None:
        exchange_of(request).facts["slack"] = mention.event_id
        await inbox().put({"kind": "slack", "mention": mention.told()})
    return Json({"ok": True})


async def _check(request: Request, body: bytes) -> None:
    """Without a signing secret only those come in who may talk to personas anyway."""
    key = await offload(secret, "slack_signing_secret")
    exchange = exchange_of(request)
    if not key:
        await speaker(request)
    elif not signed_by_slack(key, exchange.headers, body, exchange.at):
        raise Failure(Kind.UNAUTHENTICATED, _FORGED, headers={"x-slack-no-retry": "1"})


def _challenge(told: dict[str, Any]) -> str:
    challenge = told.get("challenge")
    if not isinstance(challenge, str):
        raise Failure(Kind.INVALID, "challenge: must be a string", details={"field": "challenge"})
    return challenge
