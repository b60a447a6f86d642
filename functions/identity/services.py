"""What the routes of this function work with: the rooms' verbs over the real tables."""

from datetime import datetime

from quintet.events.audit import audited
from quintet.identity.door import gate
from quintet.identity.logins import Logins
from quintet.identity.oauth.providers import Configured
from quintet.identity.oauth.signing_in import SigningIn
from quintet.identity.passwords import Passwords
from quintet.identity.store import accounts, flows, registry, sessions, users
from quintet.identity.terms import terms
from quintet.settings import settings

door = gate()
_passwords = Passwords()
_providers = Configured()


async def logins() -> Logins:
    return Logins(users, sessions, registry, _passwords, await terms(), audited, _seen)


async def signing_in() -> SigningIn:
    return SigningIn(flows, _providers, await logins(), settings().public_url, audited)


def _seen(account: str) -> datetime | None:
    return accounts.last_used([account]).get(account)
