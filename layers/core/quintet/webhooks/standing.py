"""Whether an endpoint's owner may still read what it would be told: roles change, keys are revoked."""

from quintet.http.work import offload
from quintet.identity.model import is_user_id, permissions_of
from quintet.identity.recent import Recent
from quintet.identity.store import keys, users
from quintet.store.clock import Clock
from quintet.webhooks.model import Endpoint

_KEEP_SECONDS = 10.0
_KEEP = 1024


class Standing:
    """Asks the identity tables, at most every ten seconds for each owner."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: Recent[str, frozenset[str]] = Recent(_KEEP, _KEEP_SECONDS)

    async def __call__(self, endpoint: Endpoint, needs: str) -> bool:
        known = self._known.get(endpoint.id)
        if known is None:
            known = await offload(self._permissions, endpoint)
            self._known.put(endpoint.id, known)
        return needs in known and needs in endpoint.permissions

    def _permissions(self, endpoint: Endpoint) -> frozenset[str]:
        kind, _, name = endpoint.account.partition("#")
        if kind == "key":
            key = keys.find(name)
            if key is None or key.revoked_at is not None:
                return frozenset()
            principal = key.principal()
            return principal.permissions if principal.holds_at(self._clock.now()) else frozenset()
        if kind == "user" and is_user_id(name):
            user = users.get(name)
            return permissions_of(user.roles, ()) if user is not None and not user.disabled else frozenset()
        return endpoint.permissions  # no record stands behind who made it: a token, or the static one
