"""API keys: issue, rotate, revoke. The secret is in the answer of the first two, and nowhere else."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from quintet.errors import Failure, Kind, invalid
from quintet.identity import credentials
from quintet.identity.announcing import Announce, silently
from quintet.identity.model import ApiKey
from quintet.store.clock import iso
from quintet.store.ids import new_id
from quintet.store.pages import Page, Paging
from quintet.store.transactions import Unmet, Write


class KeyStore(Protocol):
    """`store.keys` over the table."""

    def find(self, key_id: str, /) -> ApiKey | None: ...

    def add(self, key: ApiKey, /, *also: Write) -> None: ...

    def rotate(self, before: ApiKey, after: ApiKey, /, *also: Write) -> None: ...

    def revoke(self, before: ApiKey, after: ApiKey, /, *also: Write) -> None: ...

    def page(self, paging: Paging, owner: str | None = None, /) -> Page[ApiKey]: ...


@dataclass(frozen=True, slots=True)
class Issued:
    """`previous_ends_at` is when the secret before this one ends, where there was one."""

    key: ApiKey
    secret: str = field(repr=False)
    previous_ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    store: KeyStore
    stage: str  # what the secrets of this stack begin with
    announce: Announce = silently

    def get(self, key_id: str) -> ApiKey:
        key = self.store.find(key_id)
        if key is None:
            raise Failure(Kind.NOT_FOUND, f"There is no key '{key_id}'")
        return key

    def issue(
        self,
        name: str,
        owner: str,
        *,
        roles: Sequence[str] = (),
        scopes: Sequence[str] = (),
        expires_at: datetime | None = None,
        actor: str,
        now: datetime,
    ) -> Issued:
        secret, digest, hint = self._secret()
        key = ApiKey(
            id=new_id("key", now),
            digest=digest,
            hint=hint,
            name=name,
            owner=owner,
            created_at=now,
            roles=tuple(roles),
            scopes=tuple(scopes),
            expires_at=expires_at,
        )
        told = {"name": name, "owner": owner, "roles": list(roles), "scopes": list(scopes)}
        try:
            self.store.add(key, self.announce("key.created", key.id, told, actor))
        except Unmet:
            issue = "Must name a user who is not disabled, or a service"
            raise invalid("owner", issue) from None
        return Issued(key, secret)

    def rotate(self, key_id: str, overlap: timedelta, *, actor: str, now: datetime) -> Issued:
        """The key gets a new secret; the old one goes on for `overlap`, but not beyond its own end."""
        before = self.get(key_id)
        if before.revoked_at is not None or (before.expires_at is not None and before.expires_at <= now):
            raise Failure(Kind.CONFLICT, "This key has been revoked, or has expired: issue another one")
        secret, digest, hint = self._secret()
        after = replace(before, digest=digest, hint=hint, rev=before.rev + 1)
        ends = min(now + overlap, before.expires_at or datetime.max.replace(tzinfo=UTC))
        told = {"old_secret_ends_at": iso(ends)}
        with _unless_changed():
            self.store.rotate(
                replace(before, expires_at=ends), after, self.announce("key.rotated", before.id, told, actor)
            )
        return Issued(after, secret, ends)

    def revoke(self, key_id: str, *, actor: str, now: datetime) -> ApiKey:
        """Dead from the next request on. Doing it again changes nothing."""
        before = self.get(key_id)
        if before.revoked_at is not None:
            return before
        after = replace(before, revoked_at=now, rev=before.rev + 1)
        with _unless_changed():
            self.store.revoke(before, after, self.announce("key.revoked", before.id, {"name": before.name}, actor))
        return after

    def revoke_all_of(self, owner: str, *, actor: str, now: datetime) -> None:
        after: str | None = None
        while True:
            page = self.store.page(Paging(after=after), owner)
            for key in page.items:
                self.revoke(key.id, actor=actor, now=now)
            if page.after is None:
                return
            after = page.after

    def _secret(self) -> tuple[str, str, str]:
        secret = credentials.key_text(self.stage, secrets.token_bytes(32))
        return secret, credentials.digest(secret), secret[-credentials.HINT_LENGTH :]


@contextmanager
def _unless_changed() -> Iterator[None]:
    try:
        yield
    except Unmet:
        raise Failure(Kind.CONFLICT, "Somebody else changed this key at the same moment: look at it again") from None
