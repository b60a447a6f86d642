"""The door of every function: names the caller, counts the request, and tells the routes who it is and what it may.

Credentials that do not count are no reason to turn a request away here: an open route serves it all the same. Their
refusal waits in the exchange for a route that asks who is calling.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from starlette.requests import Request

from quintet.configuration.live import said
from quintet.errors import Failure, Kind
from quintet.http.exchange import Exchange, exchange_of
from quintet.http.work import offload
from quintet.identity import limits
from quintet.identity.credentials import TOKEN_EXPIRED, Credential, Shape, digest, presented, refused
from quintet.identity.limits import Limit, Tally
from quintet.identity.model import (
    PERMISSIONS,
    ROLES,
    ApiKey,
    Principal,
    PrincipalKind,
    Session,
    User,
    anonymous,
)
from quintet.identity.recent import Recent
from quintet.identity.store import registry as tables
from quintet.identity.store.registry import Stale
from quintet.settings import settings
from quintet.store.secrets import secret

if TYPE_CHECKING:
    from quintet.identity.tokens import Keyring

_KEEP_SECONDS = 60.0
_KEEP_CALLERS = 1024
_KEEP_EXHAUSTED = 4096
_ATTEMPTS = 3
_MISSING = "Not authenticated: send an API key as X-API-Key or X-Ryuzen-Key, or a token as Authorization: Bearer"
_MISSING_IN = {"cyborgmind": "Not authenticated"}  # as its document spells it
_KEY_EXPIRED = "API key has expired"
_MAINTENANCE = "The system is in maintenance: nothing is changed until it ends, reading goes on"
_MAINTENANCE_SECONDS = 60.0
_REVOKED = "These credentials have been revoked"
_CHANGED = "Your credentials have changed: connect again"

T = TypeVar("T")

STATIC = Principal("static", PrincipalKind.STATIC, "static#token", ROLES["developer"])


class Registry(Protocol):
    """What stands behind credentials, and the accounts: `store.registry` over the tables."""

    async def key(self, digest: str, /) -> ApiKey | None: ...

    async def session(self, user_id: str, session_id: str, /) -> tuple[User, Session] | None: ...

    async def confirm(self, account: str, rev: int | None, now: datetime, /) -> None:
        """Raises Stale."""
        ...

    async def count(self, account: str, rev: int | None, limit: Limit, now: datetime, /) -> Tally:
        """Raises Stale."""
        ...


class Door:
    """One per app. What it remembers of callers is checked against their account, so it is never out of date."""

    def __init__(self, registry: Registry, closed: Callable[[], Awaitable[bool]] | None = None) -> None:
        self._registry = registry
        self._closed = closed  # whether the system is in maintenance
        self._callers: Recent[str, Principal] = Recent(_KEEP_CALLERS, _KEEP_SECONDS)
        self._exhausted: Recent[tuple[str, str], Tally] = Recent(_KEEP_EXHAUSTED, _KEEP_SECONDS)
        self._keyring: Recent[None, Keyring] = Recent(1, _KEEP_SECONDS)
        self._static: Recent[None, str] = Recent(1, _KEEP_SECONDS)

    async def __call__(self, exchange: Exchange) -> None:
        if limits.is_public(exchange.path):
            return
        if self._closed is not None and limits.rests(exchange.method, exchange.path) and await self._closed():
            raise Failure(Kind.UNAVAILABLE, _MAINTENANCE, retry_after=_MAINTENANCE_SECONDS)
        limit = limits.limit_of(exchange.method, exchange.path, exchange.dialect, settings())
        tally = await self._name(exchange, limit)
        if limit is None:
            return
        if tally is None:
            tally = await self._count(limits.address_account(exchange.ip), None, limit, exchange.at)
        exchange.answer_headers.update(limits.headers_of(limit, tally))
        if not tally.admitted:
            raise limits.exceeded(limit, tally, exchange.at)

    async def authenticate(self, credential: Credential, now: datetime) -> Principal:
        """For those who show their credentials in a message. Raises Failure."""
        caller, _ = await self._as_caller(
            credential, now, lambda caller: self._registry.confirm(caller.account, caller.rev, now)
        )
        return caller

    async def readmit(self, exchange: Exchange, caller: Principal | None) -> None:
        """For a message on a connection whose caller was named when it opened: it must still stand, and is counted.

        A caller whose record has changed since then has to connect again. Raises Failure.
        """
        limit = limits.limit_of(exchange.method, exchange.path, exchange.dialect, settings())
        now = exchange.at
        if caller is not None:
            exchange.caller = caller
            exchange.confirm = partial(self._confirm_connected, caller, now)
            if not caller.holds_at(now):
                raise refused(_KEY_EXPIRED if caller.key_id else TOKEN_EXPIRED)
            if limit is None:
                await exchange.confirm()
                return
        elif limit is None:
            return
        account, rev = (caller.account, caller.rev) if caller else (limits.address_account(exchange.ip), None)
        try:
            tally = await self._count(account, rev, limit, now)
        except Stale as stale:
            raise refused(_REVOKED if stale.closed else _CHANGED) from None
        if not tally.admitted:
            raise limits.exceeded(limit, tally, now)
        exchange.confirmed = caller is not None

    async def _confirm_connected(self, caller: Principal, now: datetime) -> None:
        try:
            await self._registry.confirm(caller.account, caller.rev, now)
        except Stale as stale:
            raise refused(_REVOKED if stale.closed else _CHANGED) from None

    async def _name(self, exchange: Exchange, limit: Limit | None) -> Tally | None:
        """By the first credential that counts; answers the tally of the caller's account if that is the one to use."""
        for credential in presented(exchange.headers):
            try:
                tally = await self._name_by(credential, exchange, limit)
            except Failure as failure:
                if failure.kind is not Kind.UNAUTHENTICATED:
                    raise
                exchange.refusal = exchange.refusal or failure
            else:
                exchange.refusal = None
                return tally
        return None

    async def _name_by(self, credential: Credential, exchange: Exchange, limit: Limit | None) -> Tally | None:
        exchange.confirm = partial(self._confirm_exchange, exchange, credential)
        if limit is None or limit.by_address:
            exchange.caller = await self._identify(credential, exchange.at)
            return None
        exchange.caller, tally = await self._as_caller(
            credential,
            exchange.at,
            lambda caller: self._count(caller.account, caller.rev, limit, exchange.at),
        )
        exchange.confirmed = tally.admitted
        return tally

    async def _confirm_exchange(self, exchange: Exchange, credential: Credential) -> None:
        exchange.caller = None
        exchange.caller = await self.authenticate(credential, exchange.at)
        exchange.confirmed = True

    async def _as_caller(
        self, credential: Credential, now: datetime, act: Callable[[Principal], Awaitable[T]]
    ) -> tuple[Principal, T]:
        """Acts on the caller's account, which refuses when the caller has changed since we read about it."""
        for _ in range(_ATTEMPTS):
            caller = await self._identify(credential, now)
            try:
                return caller, await act(caller)
            except Stale as stale:
                self._callers.forget(credential.digest)
                if stale.closed:
                    raise refused(_REVOKED) from None
        raise Failure(Kind.UNAVAILABLE, "Your credentials are being changed: try again", retry_after=1)

    async def _count(self, account: str, rev: int | None, limit: Limit, now: datetime) -> Tally:
        """An exhausted window stays exhausted until it ends: that needs no second look."""
        tally = self._exhausted.get((account, limit.group))
        if tally is None or now >= tally.resets_at:
            tally = await self._registry.count(account, rev, limit, now)
            if not tally.admitted:
                self._exhausted.put((account, limit.group), tally)
        return tally

    async def _identify(self, credential: Credential, now: datetime) -> Principal:
        mark = credential.digest
        caller = self._callers.get(mark)
        if caller is None:
            caller = await self._read(credential, mark, now)
            self._callers.put(mark, caller)
        if not caller.holds_at(now):
            raise refused(_KEY_EXPIRED if caller.key_id else TOKEN_EXPIRED)
        return caller

    async def _read(self, credential: Credential, mark: str, now: datetime) -> Principal:
        shape = credential.shape
        if shape is Shape.KEY:
            return await self._by_key(credential, mark)
        if compare_digest(await self._static_digest(), mark):
            return STATIC
        if shape is Shape.TOKEN and settings().jwt_enabled:
            return await self._by_token(credential, now)
        raise credential.refusal()

    async def _by_key(self, credential: Credential, mark: str) -> Principal:
        key = await self._registry.key(mark)
        if key is None or not compare_digest(key.digest, mark):
            raise credential.refusal()
        if key.revoked_at is not None:
            raise refused(_REVOKED)
        return key.principal()

    async def _by_token(self, credential: Credential, now: datetime) -> Principal:
        claims = (await self._keys()).read(credential.text)
        if claims.proof is not None:
            key = await self._registry.key(claims.proof)
            if key is None or key.revoked_at is not None:
                raise refused(_REVOKED)
            return claims.principal().under(key.principal())
        if claims.session_id is None:
            return claims.principal()
        found = await self._registry.session(claims.user_id, claims.session_id)
        if found is None:
            raise credential.refusal()
        user, session = found
        if not session.holds_for(user, now):
            raise refused("This session has ended: log in again")
        if claims.account is not None:
            return claims.principal().under(user.principal(session))
        return replace(user.principal(session), expires_at=claims.expires_at)

    async def _keys(self) -> "Keyring":
        keyring = self._keyring.get(None)
        if keyring is None:
            from quintet.identity.tokens import keyring as read_keyring  # many a function never sees a token

            keyring = await offload(read_keyring)
            self._keyring.put(None, keyring)
        return keyring

    async def _static_digest(self) -> str:
        """Empty, which is no digest, where there is no static token."""
        known = self._static.get(None)
        if known is None:
            text = await offload(secret, "static_token")
            known = digest(text) if text else ""
            self._static.put(None, known)
        return known


def gate() -> Door:
    """The gate that every function passes to `create_app`."""
    return Door(tables, in_maintenance)


async def in_maintenance() -> bool:
    return bool(await said("system", "maintenance_mode"))


async def provisional_principal(request: Request) -> Principal:
    """Who is calling, as far as this instance remembers: for routes whose verb writes the caller's account itself."""
    exchange = exchange_of(request)
    if exchange.refusal is not None:
        raise exchange.refusal
    if exchange.caller is None:
        raise refused(_MISSING_IN.get(exchange.dialect.name, _MISSING))
    return cast("Principal", exchange.caller)


async def principal(request: Request) -> Principal:
    """Who is calling. Raises what was wrong with the credentials, or that there are none."""
    exchange = exchange_of(request)
    if exchange.confirm is not None and exchange.refusal is None and not exchange.confirmed:
        await exchange.confirm()
    return await provisional_principal(request)


async def open_or_principal(request: Request) -> Principal:
    """Like `principal`, but a caller without credentials that count is welcome where the owner opened the stack."""
    exchange = exchange_of(request)
    if settings().open_access and exchange.caller is None:
        return anonymous(limits.address_account(exchange.ip))
    return await principal(request)


def permitted(permission: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that answers the caller, who must have this permission."""
    if permission not in PERMISSIONS:
        raise ValueError(f"there is no permission {permission!r}")

    async def permitted_principal(request: Request) -> Principal:
        caller = await principal(request)
        caller.need(permission)
        return caller

    return permitted_principal
