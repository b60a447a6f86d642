"""Opening and closing the vault, changing its password, and what is put into it and read from it."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from quintet.errors import Failure, Kind
from quintet.gateway.vault.model import LEASE, Contents, Costs, Head, Lease, Status, new_head, opened, seal, unseal
from quintet.http.work import offload
from quintet.store.clock import Clock
from quintet.store.transactions import Unmet, Write

Audit = Callable[[str, str, Mapping[str, Any], str], Write]
MOST_SECRETS = 90  # a transaction seals them all anew
_SUBJECT = "vault"
_LOCKED = "The vault is locked: POST /admin/v1/vault/unlock with the admin password first"
_MOVED = "The vault was changed by somebody else at the same moment: try again"
_FRESH_SECONDS = 3.0


class Rows(Protocol):
    async def read(self) -> Contents: ...

    async def renew(self, lease: Lease, /) -> None: ...

    def initialise(self, head: Head, lease: Lease, /, *also: Write) -> None: ...

    def open_(self, lease: Lease, /, *also: Write) -> None: ...

    def close(self, *also: Write) -> None: ...

    def rotate(self, before: Head, head: Head, lease: Lease, sealed: Mapping[str, bytes], /, *also: Write) -> None: ...

    def put(self, name: str, sealed: bytes, rev: int, /) -> Iterable[Write]: ...

    def remove(self, name: str, rev: int, /) -> Iterable[Write]: ...

    def tell(self, *also: Write) -> None: ...


class Wrapping(Protocol):
    """What KMS does for us."""

    async def wrap(self, key: bytes, /) -> bytes: ...

    async def unwrap(self, wrapped: bytes, /) -> bytes | None:
        """None for what was wrapped elsewhere: the table was restored into another stack, say."""
        ...


class Vault:
    """One per process: it keeps what it has read for three seconds, and the key as long as the lease is the same."""

    def __init__(
        self,
        rows: Rows,
        wrapping: Wrapping,
        clock: Clock,
        audited: Audit,
        costs: Costs | None = None,
    ) -> None:
        self._rows = rows
        self._wrapping = wrapping
        self._clock = clock
        self._audited = audited
        self._costs = costs or Costs()
        self._known: tuple[float, Contents] = (0.0, Contents())
        self._key: tuple[bytes, bytes] = (b"", b"")  # wrapped, and what is in it

    # For administrators

    async def unlock(self, password: str, actor: str) -> Status:
        """The first one sets the password. Raises Failure(UNAUTHENTICATED) for a wrong one, which changes nothing."""
        contents = await self._read()
        if contents.head is None:
            head, key = await offload(new_head, password, self._costs)
            lease = await self._lease(key, head.rev)
            try:
                await offload(
                    self._rows.initialise, head, lease, self._audited("vault.initialized", _SUBJECT, {}, actor)
                )
            except Unmet:  # another one was first: then that one's password counts
                return await self.unlock(password, actor)
            return await self.status()
        key = await self._checked(contents.head, password, "vault.unlock_refused", actor)
        lease = await self._lease(key, contents.head.rev)
        try:
            await offload(self._rows.open_, lease, self._audited("vault.unlocked", _SUBJECT, {}, actor))
        except Unmet:
            raise Failure(Kind.CONFLICT, _MOVED) from None
        return await self.status()

    async def lock(self, actor: str) -> Status:
        """Other instances follow within seconds."""
        await offload(self._rows.close, self._audited("vault.locked", _SUBJECT, {}, actor))
        return await self.status()

    async def rotate(self, password: str, new_password: str, actor: str) -> Status:
        """Seals everything anew under another password; the vault is open afterwards."""
        contents = await self._read()
        if contents.head is None:
            raise Failure(Kind.CONFLICT, "The vault has no password yet: the first unlock sets it")
        key = await self._checked(contents.head, password, "vault.rotate_refused", actor)
        head, new_key = await offload(new_head, new_password, self._costs, contents.head.rev + 1)
        head = replace(head, edits=contents.head.edits)
        sealed = {}
        for name, each in contents.sealed.items():
            secret = unseal(key, each, name)
            if secret is None:
                raise Failure(Kind.CONFLICT, f"The secret of provider '{name}' cannot be read: set it anew first")
            sealed[name] = seal(new_key, secret, name)
        lease = await self._lease(new_key, head.rev)
        told = self._audited("vault.rotated", _SUBJECT, {"secrets": len(sealed)}, actor)
        try:
            await offload(self._rows.rotate, contents.head, head, lease, sealed, told)
        except Unmet:
            raise Failure(Kind.CONFLICT, _MOVED) from None
        return await self.status()

    async def status(self) -> Status:
        contents = await self._read()
        lease = self._standing(contents)
        return Status(
            contents.head is not None,
            lease is not None,
            lease.expires_at if lease else None,
            tuple(sorted(contents.sealed)),
        )

    async def put(self, provider: str, secret: str) -> list[Write]:
        """For the transaction that saves the provider. Raises Failure(LOCKED)."""
        contents = await self._read()
        key = await self._open(contents)
        if contents.head is None or key is None:
            raise Failure(Kind.LOCKED, _LOCKED)
        if len(contents.sealed) >= MOST_SECRETS and provider not in contents.sealed:
            raise Failure(Kind.REJECTED, f"The vault holds {MOST_SECRETS} secrets at the most")
        return [*self._rows.put(provider, seal(key, secret.encode(), provider), contents.head.rev)]

    async def remove(self, provider: str) -> list[Write]:
        """For the transaction that removes the provider; also while the vault is locked."""
        contents = await self._read()
        if contents.head is None or provider not in contents.sealed:
            return []
        return [*self._rows.remove(provider, contents.head.rev)]

    def forget(self) -> None:
        """This process has just put or removed a secret: the next read sees it."""
        self._known = (0.0, Contents())

    # For the gateway

    async def secret(self, provider: str) -> str | None:
        """None while it is locked, or holds none for this provider."""
        read_at, contents = self._known
        if not 0 <= time.time() - read_at < _FRESH_SECONDS:
            contents = await self._read()
        sealed = contents.sealed.get(provider)
        key = await self._open(contents) if sealed else None
        if sealed is None or key is None:
            return None
        secret = unseal(key, sealed, provider)
        return None if secret is None else secret.decode()

    # Both

    async def _read(self) -> Contents:
        contents = await self._rows.read()
        self._known = (time.time(), contents)  # the wall clock goes on while a Lambda is frozen
        return contents

    async def _open(self, contents: Contents) -> bytes | None:
        lease = self._standing(contents)
        if lease is None:
            self._key = (b"", b"")
            return None
        wrapped, key = self._key
        if wrapped != lease.wrapped:
            unwrapped = await self._wrapping.unwrap(lease.wrapped)
            if unwrapped is None:
                return None  # locked, for us: the password opens it
            key = unwrapped
            self._key = (lease.wrapped, key)
        now = self._clock.now()
        if lease.wants_renewal(now):
            await self._rows.renew(replace(lease, expires_at=now + LEASE))
        return key

    def _standing(self, contents: Contents) -> Lease | None:
        return contents.standing(self._clock.now())

    async def _lease(self, key: bytes, rev: int) -> Lease:
        return Lease(await self._wrapping.wrap(key), self._clock.now() + LEASE, rev)

    async def _checked(self, head: Head, password: str, refusal: str, actor: str) -> bytes:
        key = await offload(opened, head, password)
        if key is None:
            await offload(self._rows.tell, self._audited(refusal, _SUBJECT, {}, actor))
            raise Failure(Kind.UNAUTHENTICATED, "The admin password is wrong")
        return key


class Glance:
    """For who only asks whether there is a key: it opens nothing, and is no use that would keep the vault open."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    async def secret(self, provider: str) -> str | None:
        """Something where there is one; never the secret."""
        contents = await self._rows.read()
        return "sealed" if provider in contents.sealed and contents.standing(self._clock.now()) else None
