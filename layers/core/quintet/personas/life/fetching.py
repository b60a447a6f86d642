"""Feeds fetched from the internet: every address is checked before it is dialled, also after a redirect."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from quintet.net import client
from quintet.net.client import NetError
from quintet.net.guard import WEB, Forbidden, Rules, Unresolved, resolve
from quintet.personas.life.feeds import Headline, NotAFeed, headlines

_SECONDS = 10.0
_MOST_BYTES = 2 << 20
_MOST_HOPS = 3
_ACCEPT = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml, application/json, */*;q=0.1"
)
_MOVED = frozenset({301, 302, 303, 307, 308})


class Unread(Exception):  # noqa: N818 - an outcome
    """Why a source could not be read."""


@dataclass(frozen=True, slots=True)
class Feeds:
    """`may_be_local`: a source that its owner put on this machine may be read; what others lead to may not."""

    may_be_local: bool = False

    async def read(self, source: str) -> list[Headline]:
        """Raises Unread."""
        rules = WEB
        if self.may_be_local and _is_local(source):
            rules = Rules(schemes=WEB.schemes, ports=WEB.ports, loopback=True)
        url = source
        for _ in range(_MOST_HOPS + 1):
            answer = await self._get(url, rules)
            if answer.status not in _MOVED:
                break
            url = urljoin(url, answer.headers.get("location", ""))
        if answer.status != 200:
            raise Unread(f"HTTP {answer.status}")
        try:
            return headlines(answer.body)
        except NotAFeed as error:
            raise Unread(str(error)) from None

    async def _get(self, url: str, rules: Rules) -> client.Response:
        try:
            address = await resolve(url, rules)
            return await client.send(
                "GET",
                url,
                headers={"accept": _ACCEPT, "user-agent": "quintet (feed reader)"},
                timeout=_SECONDS,
                max_bytes=_MOST_BYTES,
                address=address,
            )
        except (Forbidden, Unresolved, NetError, ValueError) as error:
            raise Unread(str(error)) from None


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
