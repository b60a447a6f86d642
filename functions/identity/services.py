"""What the routes of this function work with: the rooms' verbs over the real tables."""

from quintet.events.audit import audited
from quintet.identity.door import gate
from quintet.identity.logins import Logins
from quintet.identity.oauth.providers import Configured
from quintet.identity.oauth.signing_in import SigningIn
from quintet.identity.passwords import Passwords
from quintet.identity.store import flows, registry, sessions, users
from quintet.identity.terms import terms
from quintet.settings import settings

door = gate()
_passwords = Passwords()
_providers = Configured()


def logins() -> Logins:
    return Logins(users, sessions, registry, _passwords, terms(), audited)


def signing_in() -> SigningIn:
    return SigningIn(flows, _providers, logins(), settings().public_url, audited)
