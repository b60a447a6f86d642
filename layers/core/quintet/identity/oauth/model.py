"""What a sign-in elsewhere begins with and ends with."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in on its way through the provider. `id` and `browser` are digests of the state and of the cookie."""

    id: str
    provider: str
    browser: str
    expires_at: datetime
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is elsewhere: `issuer` and `subject` together. The rest is for people to read."""

    issuer: str
    subject: str
    email: str | None = None
    name: str | None = None


class Provider(Protocol):
    async def authorization_url(self, redirect_uri: str, *, state: str, nonce: str, challenge: str) -> str:
        """Where the browser goes. Raises Failure when the provider cannot be asked."""
        ...

    async def identity(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> Identity:
        """Raises Failure when the provider does not vouch for anybody, or is not who it should be."""
        ...
