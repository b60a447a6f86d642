"""What somebody who asked to be told things may still read: roles change, keys are revoked, time passes."""

from collections.abc import Callable
from datetime import datetime

from quintet.http.work import offload
from quintet.identity.model import ApiKey, User, is_user_id, permissions_of
from quintet.identity.recent import Recent
from quintet.store.clock import Clock

_KEEP_SECONDS = 10.0
_KEEP = 1024


class Standing:
    """By account, at most every ten seconds for each. `key` and `user` find a record by its id."""

    def __init__(self, key: Callable[[str], ApiKey | None], user: Callable[[str], User | None], clock: Clock) -> None:
        self._key = key
        self._user = user
        self._clock = clock
        self._known: Recent[str, tuple[frozenset[str], datetime | None]] = Recent(_KEEP, _KEEP_SECONDS)

    async def permissions(self, account: str, had: frozenset[str], named_at: datetime | None = None) -> frozenset[str]:
        """Of what was had when it was asked for, what is still there. Never more.

        `named_at` is when somebody in person said who they are: if all their sessions have been ended since, nothing.
        """
        kind, _, name = account.partition("#")
        if kind not in {"key", "user"} or (kind == "user" and not is_user_id(name)):
            return had  # no record stands behind it: a token, or the static one
        known = self._known.get(account)
        if known is None:
            known = await offload(self._of_key if kind == "key" else self._of_user, name)
            self._known.put(account, known)
        permissions, sessions_from = known
        if named_at is not None and sessions_from is not None and named_at < sessions_from:
            return frozenset()
        return permissions & had

    def _of_key(self, name: str) -> tuple[frozenset[str], datetime | None]:
        key = self._key(name)
        if key is None or key.revoked_at is not None or not key.principal().holds_at(self._clock.now()):
            return frozenset(), None
        return key.principal().permissions, None

    def _of_user(self, name: str) -> tuple[frozenset[str], datetime | None]:
        user = self._user(name)
        if user is None or user.disabled:
            return frozenset(), None
        return permissions_of(user.roles, ()), user.sessions_from
