"""The two halves of signing in elsewhere: out to the provider, and back."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Protocol

from quintet.errors import Failure, Kind
from quintet.http.work import offload
from quintet.identity.announcing import Announce, silently
from quintet.identity.credentials import digest
from quintet.identity.logins import Grant, Logins
from quintet.identity.model import Taken, User, link_of
from quintet.identity.oauth.calls import denied
from quintet.identity.oauth.model import Flow, Identity, Provider
from quintet.store.ids import new_id

FLOW_LIFETIME = timedelta(minutes=10)
_UNKNOWN = "This sign-in is not known here, was finished before, or took longer than 10 minutes: begin again"
_ELSEWHERE = "This sign-in was begun in another browser: begin again"


class FlowStore(Protocol):
    """`store.flows` over the table."""

    def add(self, flow: Flow, /) -> None: ...

    def take(self, flow_id: str, /) -> Flow | None:
        """Of two that ask for the same flow, one gets it."""
        ...


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and the cookie that shows on its return that it is the same one."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Return:
    """What the browser brings back from the provider."""

    state: str
    code: str | None = None
    error: str | None = None
    cookie: str | None = None


class Providers(Protocol):
    async def named(self, name: str, /) -> Provider:
        """Raises Failure for one that nobody knows, or that is not set up."""
        ...


@dataclass(frozen=True, slots=True)
class SigningIn:
    flows: FlowStore
    providers: Providers
    logins: Logins
    public_url: str
    announce: Announce = silently

    async def begin(self, name: str, now: datetime) -> Departure:
        provider = await self.providers.named(name)
        state, cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        flow = Flow(
            id=digest(state),
            provider=name,
            browser=digest(cookie),
            expires_at=now + FLOW_LIFETIME,
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
        )
        url = await provider.authorization_url(
            self._redirect_uri(name), state=state, nonce=flow.nonce, challenge=_challenge(flow.verifier)
        )
        await offload(self.flows.add, flow)
        return Departure(url, cookie)

    async def finish(self, name: str, back: Return, now: datetime) -> Grant:
        provider = await self.providers.named(name)
        flow = await offload(self.flows.take, digest(back.state))
        if flow is None or flow.provider != name or now >= flow.expires_at:
            raise Failure(Kind.REJECTED, _UNKNOWN, details={"error": "invalid_state"})
        if back.cookie is None or not compare_digest(digest(back.cookie), flow.browser):
            raise Failure(Kind.REJECTED, _ELSEWHERE, details={"error": "invalid_state"})
        if back.error is not None:
            raise denied(name, back.error)
        if not back.code:
            raise Failure(Kind.REJECTED, "The provider sent neither a code nor an error", details={"field": "code"})
        identity = await provider.identity(
            back.code, self._redirect_uri(name), nonce=flow.nonce, verifier=flow.verifier
        )
        return await offload(self._admit, identity, now)

    def _redirect_uri(self, name: str) -> str:
        return f"{self.public_url}/v1/auth/oauth2/{name}/callback"

    def _admit(self, identity: Identity, now: datetime) -> Grant:
        """Whoever has the identity's link, or a new user: an e-mail address that is the same proves nothing."""
        link = link_of(identity.issuer, identity.subject)
        users = self.logins.users
        user = users.by_name(link)
        if user is None:
            user = User(
                id=new_id("user", now),
                email=identity.email,
                created_at=now,
                name=identity.name,
                roles=self.logins.terms.new_roles,
                links=(link,),
            )
            told = {"issuer": identity.issuer, "roles": list(user.roles)}
            try:
                users.add(user, self.announce("user.created", user.id, told, user.id))
            except Taken:  # by another first sign-in of the same person, a moment ago
                user = users.by_name(link) or user
        return self.logins.begin(user, now)


def _challenge(verifier: str) -> str:
    """PKCE, S256."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
