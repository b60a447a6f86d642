"""Slack's Web API, as much of it as we use."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from quintet.errors import Failure, Kind
from quintet.net import client
from quintet.net.client import NetError

_ATTEMPTS = 4
_LONGEST_WAIT = 30.0  # seconds that we wait for Slack within one message; after that the queue does
_SECONDS = 10.0
_KEPT_NAMES = 1024


@dataclass(slots=True)
class SlackApi:
    """`url` is `https://slack.com/api/`; another one may do without a token."""

    url: str
    token: str = field(repr=False)
    _names: dict[str, str] = field(default_factory=dict)

    async def post(self, channel: str, text: str, thread: str = "") -> None:
        """Raises Failure; LIMITED when Slack wants us to wait for longer than a message may take."""
        told = {"channel": channel, "text": text, **({"thread_ts": thread} if thread else {})}
        await self._call("POST", "chat.postMessage", told)

    async def channel_name(self, channel: str) -> str:
        """Empty where we may not know it."""
        if channel not in self._names:
            try:
                told = await self._call("GET", "conversations.info", {"channel": channel})
            except Failure:
                return ""
            about = told.get("channel")
            name = about.get("name") if isinstance(about, dict) else None
            if len(self._names) >= _KEPT_NAMES:
                self._names.clear()
            self._names[channel] = name if isinstance(name, str) else ""
        return self._names[channel]

    async def _call(self, method: str, name: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
        url = self.url.rstrip("/") + "/" + name
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        body = b""
        if method == "GET":
            url += "?" + urlencode(told)
        else:
            headers["content-type"] = "application/json; charset=utf-8"
            body = json.dumps(told, ensure_ascii=False).encode(errors="replace")
        waited = 0.0
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = await client.send(
                    method, url, headers=headers, body=body, timeout=_SECONDS, max_bytes=1 << 20, idempotent=False
                )
            except NetError as error:
                if error.sent or attempt == _ATTEMPTS:
                    raise Failure(Kind.UPSTREAM, f"Slack could not be reached: {error}") from error
                pause = 0.5 * attempt
            else:
                told_back = _read(answer.body)
                if answer.status == 200 and told_back.get("ok") is True:
                    return told_back
                limited = answer.status == 429 or told_back.get("error") in ("ratelimited", "rate_limited")
                if not limited and answer.status < 500:
                    raise Failure(Kind.REJECTED, f"Slack refused {name}: {told_back.get('error', answer.status)}")
                pause = _seconds(answer.headers.get("retry-after", "")) if limited else 0.5 * attempt
                if attempt == _ATTEMPTS or waited + pause > _LONGEST_WAIT:
                    kind = Kind.LIMITED if limited else Kind.UPSTREAM
                    raise Failure(kind, f"Slack does not take {name} now", retry_after=pause)
            waited += pause
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _seconds(text: str) -> float:
    try:
        return min(max(float(text), 0.1), 3600.0)
    except ValueError:
        return 1.0
