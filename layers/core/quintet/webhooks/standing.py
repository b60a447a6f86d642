"""Whether an endpoint's owner may still read what it would be told."""

from quintet.identity.standing import Standing
from quintet.identity.store import keys, users
from quintet.store.clock import Clock
from quintet.webhooks.model import Endpoint


class OwnersStanding:
    def __init__(self, clock: Clock, standing: Standing | None = None) -> None:
        self._standing = standing or Standing(keys.find, users.get, clock)

    async def __call__(self, endpoint: Endpoint, needs: str) -> bool:
        return needs in await self._standing.permissions(endpoint.account, endpoint.permissions)
