"""Which of Slack's events are for us to answer, and what was said in them."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from quintet.personas.callers import name_of

_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^>]*)?>")
_LINK = re.compile(r"<(?:[#@!][^>|]*\|)?([^>|]+)(?:\|([^>]*))?>")
_TEXT = ("channel", "user", "text", "ts")
_LONGEST_TEXT = 40_000  # characters: Slack itself cuts what is longer


@dataclass(frozen=True, slots=True)
class Mention:
    """Something said to us. `thread` is where the answer goes: empty for the channel itself."""

    event_id: str
    team: str
    channel: str
    user: str
    text: str
    ts: str
    thread: str
    direct: bool

    @property
    def caller_id(self) -> str:
        """A conversation is a thread, or what two say to each other."""
        return f"slack:{self.team}:{self.channel}:{self.thread}" if self.thread else f"slack:{self.team}:{self.channel}"

    @property
    def marks(self) -> tuple[str, ...]:
        """What nobody may answer twice. A mention within a direct message comes as two events of the same words."""
        words = hashlib.sha256(self.text.encode(errors="replace")).hexdigest()[:16]
        said = f"slack#said#{self.team}#{self.channel}#{self.ts}#{words}"
        return (f"slack#event#{self.event_id}", said) if self.event_id else (said,)

    def told(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Mention":
        return cls(**{name: told[name] for name in cls.__dataclass_fields__})


def mention_of(body: Mapping[str, Any]) -> Mention | None:
    """None for what is not said to us, or what we have said ourselves."""
    event = body.get("event")
    if body.get("type") != "event_callback" or not isinstance(event, dict):
        return None
    if any(not isinstance(event.get(name), str) or not event[name] for name in _TEXT):
        return None
    told = [body.get("event_id"), body.get("team_id"), event.get("team"), event.get("thread_ts")]
    ids = [event["channel"], event["user"], event["ts"], *(each for each in told if each)]
    if any(name_of(each) != each for each in ids):
        return None
    direct = event.get("type") == "message" and event.get("channel_type") == "im"
    if not (direct or event.get("type") == "app_mention"):
        return None
    if event.get("bot_id") or event.get("subtype") or event.get("hidden") or event["user"] in _ours(body):
        return None
    thread = event.get("thread_ts")
    root = thread if isinstance(thread, str) and thread else ("" if direct else event["ts"])
    return Mention(
        event_id=_text(body.get("event_id")),
        team=_text(body.get("team_id")) or _text(event.get("team")),
        channel=event["channel"],
        user=event["user"],
        text=event["text"][:_LONGEST_TEXT],
        ts=event["ts"],
        thread=root,
        direct=direct,
    )


def words_of(text: str) -> str:
    """As people read it: without mentions, with links as their names."""
    bare = _LINK.sub(lambda link: link[2] or link[1], _MENTION.sub("", text))
    return " ".join(bare.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").split())


def escaped(text: str) -> str:
    """What a model writes must not notify a whole workspace."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _ours(body: Mapping[str, Any]) -> set[str]:
    authorizations = body.get("authorizations")
    told = [each for each in authorizations if isinstance(each, dict)] if isinstance(authorizations, list) else []
    return {str(each.get("user_id")) for each in told if each.get("is_bot", True)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
