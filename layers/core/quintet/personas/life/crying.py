"""Posts told elsewhere: in a channel on Slack, to an address of the owner's."""

import json
from dataclasses import dataclass

from quintet.errors import Failure, Kind
from quintet.net import client
from quintet.net.client import NetError
from quintet.personas.model import Persona
from quintet.personas.slack.api import SlackApi
from quintet.personas.slack.events import escaped

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Nothing configured tells nobody."""

    slack: SlackApi | None = None
    channel: str = ""
    webhook: str = ""

    async def tell(self, persona: Persona, text: str) -> None:
        if self.slack is not None and self.channel:
            await self.slack.post(self.channel, f"*{persona.name}*: {escaped(text)}")
        if self.webhook:
            body = json.dumps({"persona": persona.name, "text": text}, ensure_ascii=False).encode(errors="replace")
            headers = {"content-type": "application/json"}
            try:
                answer = await client.send("POST", self.webhook, headers=headers, body=body, timeout=_SECONDS)
            except (NetError, ValueError) as error:
                raise Failure(Kind.UPSTREAM, f"FEED_WEBHOOK_URL could not be reached: {error}") from None
            if answer.status >= 300:
                raise Failure(Kind.UPSTREAM, f"FEED_WEBHOOK_URL answered HTTP {answer.status}")
